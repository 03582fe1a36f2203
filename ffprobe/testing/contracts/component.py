"""The contract of every component, whatever its kind: its name, its settings, its source text."""

from __future__ import annotations

import ast
import json
import re

from pydantic import BaseModel, ValidationError

import ffprobe
from ffprobe.components.base import Params
from ffprobe.testing.contract import Contract, Skip, check, expect
from ffprobe.training.checkpoint import read_checkpoint, write_checkpoint


class ComponentContract(Contract):
    """The checks of every kind."""

    @check("A name is typed on the command line and becomes part of paths in the run file.")
    def name_is_kebab_case(self) -> None:
        """The name is kebab-case: lower-case letters, digits and single hyphens, such as power-norm."""
        name = self.subject.component.name
        expect(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name), "a name such as power-norm", repr(name))

    @check("If two installed components share a name, neither can be selected by it.")
    def name_is_unique(self) -> None:
        """No other installed plugin offers a component of this kind with this name or alias."""
        component, plugin = self.subject.component, self.subject.plugin
        names = {component.name, *component.aliases}
        for other in self.subject.registry.plugins:
            if other == plugin or (plugin.source_path and other.source_path == plugin.source_path):
                continue
            for offer in other.offers:
                shared = sorted(names & {offer.name, *offer.aliases}) if offer.kind == component.kind else []
                expect(not shared, f"a unique {component.kind} name", f"{shared} also in {other.where}")

    @check("Lists and help are generated from the source text, so that a broken plugin cannot break them.")
    def is_announced_in_its_source(self) -> None:
        """Kind and name can be read from the source text: a top-level class, its base and its name as literals."""
        component, plugin = self.subject.component, self.subject.plugin
        offers = [(offer.kind, offer.name) for offer in plugin.offers]
        got = f"{offers} from the source text, without an import"
        expect((component.kind, component.name) in offers, f"{(component.kind, component.name)} in the source", got)

    @check("`ffprobe plugins list` shows nothing else.")
    def has_a_summary(self) -> None:
        """The class or its file has a docstring whose first sentence describes the component."""
        offers = {offer.name: offer.summary for offer in self.subject.plugin.offers}
        summary = offers.get(self.subject.component.name) or (vars(self.subject.component).get("__doc__") or "")
        expect(summary.strip(), "a docstring", "none")

    @check("A reader who compares results with a paper must know the equation or section.")
    def names_its_source(self) -> None:
        """The class attribute source names a paper, section or equation."""
        source = self.subject.component.source
        expect(isinstance(source, str), "a string", repr(source))
        if not source.strip():
            raise Skip("no source is named; leave it empty if the idea is your own")

    @check("Settings are saved in the run file; if a component changes them, the file is wrong.")
    def settings_are_frozen(self) -> None:
        """Params derives from ffprobe.Params, and its fields cannot be assigned."""
        model = self.subject.component.Params
        expect(issubclass(model, BaseModel), "a pydantic model", repr(model))
        got = f"{model.__name__} of {[base.__name__ for base in model.__bases__]} that is not frozen"
        expect(issubclass(model, Params) and model.model_config.get("frozen"), "a frozen ffprobe.Params", got)

    @check("A misspelled setting must be an error; otherwise the run silently uses the default.")
    def settings_refuse_unknown_keys(self) -> None:
        """Params raises a validation error for an unknown key."""
        try:
            self.subject.component.Params.model_validate({**self._plain(), "no_such_setting": 1})
        except ValidationError as error:
            kinds = [problem["type"] for problem in error.errors()]
            expect("extra_forbidden" in kinds, "an error of type extra_forbidden", f"{kinds}")
            return
        expect(False, "a validation error for no_such_setting=1", "no error")

    @check("`ffprobe plugins info` and the settings page show it; a number without a unit has no meaning.")
    def settings_are_described(self) -> None:
        """Every field of Params has a description with its unit."""
        fields = self.subject.component.Params.model_fields
        bare = [name for name, field in fields.items() if not (field.description or "").strip()]
        expect(not bare, 'Field(..., description="...") for every setting', f"none for {', '.join(bare)}")

    @check("`--plugin NAME` must work without settings.")
    def defaults_build(self) -> None:
        """Every setting has a default, and the component can be built from the defaults."""
        component = self.subject.component
        made = component(component.Params())
        expect(isinstance(made, component), f"a {component.__name__}", repr(made))

    @check("The run file must have the settings that the run used.")
    def stores_its_settings(self) -> None:
        """The instance stores its settings as params."""
        component, params = self.subject.component, self.subject.component.Params()
        kept = getattr(component(params), "params", None)
        expect(kept == params, f"params={params!r}", repr(kept))

    @check("`--from run.h5` and `--resume` read the settings back from the file.")
    def settings_survive_the_file(self) -> None:
        """Settings that are written as JSON and read again are equal."""
        params = self.subject.component.Params()
        text = json.dumps(params.model_dump(mode="json"), allow_nan=False)
        again = type(params).model_validate(json.loads(text))
        expect(again == params, repr(params), repr(again))

    @check("Private names may change in any release; only public names are stable within a hook version.")
    def uses_public_names_only(self) -> None:
        """The plugin's file imports only `ffprobe` and `ffprobe.testing` from ffprobe."""
        private = []
        for node in ast.walk(ast.parse(self.subject.plugin.source_text)):
            modules = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules = [node.module or ""]
                if node.module == "ffprobe":
                    modules += [f"ffprobe.{a.name}" for a in node.names if a.name not in (*ffprobe.__all__, "testing")]
            allowed = ("ffprobe", "ffprobe.testing")
            private += [m for m in modules if m.startswith("ffprobe.") and m not in allowed]
        expect(not private, "import ffprobe, then ffprobe.NAME", f"imports of {', '.join(private)}")

    @check("A checkpoint is written after every epoch; a state that cannot be saved stops the run.")
    def state_fits_a_checkpoint(self) -> None:
        """state_dict() consists of nested dicts and lists of tensors and plain values, and can be loaded again."""
        made = self.subject.build()
        path = self.scratch / "state.checkpoint"
        write_checkpoint(path, {"state": made.state_dict()})
        self.subject.build().load_state_dict(read_checkpoint(path)["state"])

    def _plain(self) -> dict[str, object]:
        params = self.subject.params
        return params.model_dump(mode="json") if params is not None else {}
