"""What every component must obey, whatever its kind: its name, its settings, its source text."""

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

    @check("With two of one name installed, neither can be chosen by it.")
    def name_is_unique(self) -> None:
        """No other installed plugin offers a component of this kind by this name or alias."""
        component, plugin = self.subject.component, self.subject.plugin
        names = {component.name, *component.aliases}
        for other in self.subject.registry.plugins:
            if other == plugin or (plugin.source_path and other.source_path == plugin.source_path):
                continue
            for offer in other.offers:
                shared = sorted(names & {offer.name, *offer.aliases}) if offer.kind == component.kind else []
                expect(not shared, f"a {component.kind} name of its own", f"{shared} also in {other.where}")

    @check("Lists and help are made from the source text, so that a broken plugin cannot stop them.")
    def is_announced_in_its_source(self) -> None:
        """Kind and name can be read from the source text: a class at top level, its base and its name as literals."""
        component, plugin = self.subject.component, self.subject.plugin
        offers = [(offer.kind, offer.name) for offer in plugin.offers]
        came = f"{offers} when the file is read without importing it"
        expect((component.kind, component.name) in offers, f"{(component.kind, component.name)} in the source", came)

    @check("It is all that a user sees in `ffprobe plugins list`.")
    def has_a_summary(self) -> None:
        """The class or its file has a docstring, whose first sentence says what the component is."""
        offers = {offer.name: offer.summary for offer in self.subject.plugin.offers}
        summary = offers.get(self.subject.component.name) or (vars(self.subject.component).get("__doc__") or "")
        expect(summary.strip(), "a docstring", "none")

    @check("A reader compares numbers with a paper, and must know with which equation or section.")
    def names_its_source(self) -> None:
        """The class attribute source names a paper, section or equation."""
        source = self.subject.component.source
        expect(isinstance(source, str), "a text", repr(source))
        if not source.strip():
            raise Skip("no source is named; leave it so if the idea is your own")

    @check("Settings are saved in the run file; a component that changes them would make the file tell a lie.")
    def settings_are_frozen(self) -> None:
        """Params derives from ffprobe.Params, and none of its fields can be set."""
        model = self.subject.component.Params
        expect(issubclass(model, BaseModel), "a pydantic model", repr(model))
        came = f"{model.__name__} of {[base.__name__ for base in model.__bases__]} that is not frozen"
        expect(issubclass(model, Params) and model.model_config.get("frozen"), "a frozen ffprobe.Params", came)

    @check("A misspelt setting must be an error: otherwise the run silently uses the default.")
    def settings_refuse_unknown_keys(self) -> None:
        """Params refuses a key that it does not have."""
        try:
            self.subject.component.Params.model_validate({**self._plain(), "no_such_setting": 1})
        except ValidationError as error:
            kinds = [one["type"] for one in error.errors()]
            expect("extra_forbidden" in kinds, "the unknown key to be refused", f"{kinds}")
            return
        expect(False, "a refusal of no_such_setting=1", "no error")

    @check("It is what `ffprobe plugins info` and the settings page say; without a unit a number means nothing.")
    def settings_are_described(self) -> None:
        """Every field of Params has a description, which names its unit."""
        fields = self.subject.component.Params.model_fields
        bare = [name for name, field in fields.items() if not (field.description or "").strip()]
        expect(not bare, 'Field(..., description="...") for every setting', f"none for {', '.join(bare)}")

    @check("`--plugin NAME` alone must run.")
    def defaults_build(self) -> None:
        """Every setting has a default, and the component is built from them."""
        component = self.subject.component
        made = component(component.Params())
        expect(isinstance(made, component), f"a {component.__name__}", repr(made))

    @check("What a run used is what its file says it used.")
    def keeps_its_settings(self) -> None:
        """The instance has the settings that it was given as its params."""
        component, params = self.subject.component, self.subject.component.Params()
        kept = getattr(component(params), "params", None)
        expect(kept == params, f"params={params!r}", repr(kept))

    @check("`--from run.h5` and `--resume` read the settings back from the file.")
    def settings_survive_the_file(self) -> None:
        """Settings written as JSON are read back as the same settings."""
        params = self.subject.component.Params()
        text = json.dumps(params.model_dump(mode="json"), allow_nan=False)
        again = type(params).model_validate(json.loads(text))
        expect(again == params, repr(params), repr(again))

    @check("What is not public may be renamed in any release; public names are what hook versions promise.")
    def uses_public_names_only(self) -> None:
        """The plugin's file imports nothing of ffprobe but `ffprobe` itself and ffprobe.testing."""
        found = []
        for node in ast.walk(ast.parse(self.subject.plugin.source_text)):
            modules = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules = [node.module or ""]
                if node.module == "ffprobe":
                    modules += [f"ffprobe.{a.name}" for a in node.names if a.name not in (*ffprobe.__all__, "testing")]
            allowed = ("ffprobe", "ffprobe.testing")
            found += [m for m in modules if m.startswith("ffprobe.") and m not in allowed]
        expect(not found, "import ffprobe, then ffprobe.NAME", f"imports of {', '.join(found)}")

    @check("A checkpoint is written after every epoch; what it cannot hold stops the run there.")
    def state_fits_a_checkpoint(self) -> None:
        """What state_dict() gives is nested dicts and lists of tensors and plain values, and can be taken back."""
        made = self.subject.build()
        path = self.scratch / "state.checkpoint"
        write_checkpoint(path, {"state": made.state_dict()})
        self.subject.build().load_state_dict(read_checkpoint(path)["state"])

    def _plain(self) -> dict[str, object]:
        params = self.subject.params
        return params.model_dump(mode="json") if params is not None else {}
