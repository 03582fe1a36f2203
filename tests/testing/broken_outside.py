"""Broken components of the other kinds: (check, plugin text), one requirement of the contract each."""

from __future__ import annotations

from testing.broken import USUAL, dataset, evaluator, executor, negatives, network, plugin, probe, rule, scheduler

WRONG = "return (labels + torch.randint(1, classes, labels.shape, generator=generator).to(labels.device)) % classes"

ROWS = 'ffprobe.Result("mine", "How many?", [ffprobe.Column("n", "1", "count")], [(1.5,)], runs=runs)'

SCHEDULER = [
    ("groups-are-slices", scheduler("return [(i, i + 1) for i in range(depth)]")),
    ("groups-are-slices", scheduler("return slice(0, depth)")),
    ("groups-are-slices", scheduler("return [slice(0, depth, 2)]")),
    ("groups-stay-inside", scheduler("return [slice(i, i + 2) for i in range(depth)]")),
    ("groups-stay-inside", scheduler("return [slice(0, depth), slice(depth, depth)]")),
    ("reaches-every-layer", scheduler("return [slice(0, 1)]")),
    ("reaches-every-layer", scheduler("return [slice(i, i + 2) for i in range(0, depth - 1, 2)] or [slice(0, 1)]")),
    (
        "is-a-function-of-step-and-epoch",
        scheduler("self.n = getattr(self, 'n', 0) + 1\ni = self.n % depth\nreturn [slice(i, i + 1)]"),
    ),
    ("is-a-function-of-step-and-epoch", scheduler("i = int(torch.randint(depth, ()))\nreturn [slice(i, i + 1)]")),
    (
        "prepares-or-raises-usage-error",
        scheduler("return [slice(0, depth)]", "def prepare(self, depth, epochs, steps, generator): assert epochs >= 2"),
    ),
    (
        "draws-from-its-generator-only",
        scheduler(
            "return [slice(i, i + 1) for i in self.order]",
            "def prepare(self, depth, epochs, steps, generator): self.order = torch.randperm(depth).tolist()",
        ),
    ),
]

NEGATIVES = [
    ("needs-goodness-is-valid", negatives("return (labels + 1) % classes", "needs_goodness = 'every'")),
    ("gives-labels", negatives("return ((labels + 1) % classes).int()")),
    ("gives-labels", negatives("return labels + 1")),
    ("gives-labels", negatives("return ((labels + 1) % classes)[:, None]")),
    ("never-the-true-label", negatives("return torch.randint(classes, labels.shape, generator=generator)")),
    ("draws-from-its-generator-only", negatives("return (labels + torch.randint(1, classes, labels.shape)) % classes")),
    (
        "draws-from-its-generator-only",
        negatives("return (labels + random.randint(1, classes - 1)) % classes", extra="import random"),
    ),
    ("covers-the-wrong-labels", negatives("return (labels + 1) % classes")),
    ("gives-is-valid", negatives(WRONG, 'gives = "pictures"')),
    ("gives-images", negatives("return images.flip(0)[:, :1]", 'gives = "images"')),
    ("gives-images", negatives("return images.flip(0).float()", 'gives = "images"')),
    ("gives-images", negatives("return images / 0", 'gives = "images"')),
    ("never-the-same-image", negatives("return images + 0", 'gives = "images"')),
    ("images-do-not-depend-on-labels", negatives("return images + labels.view(-1, 1, 1, 1)", 'gives = "images"')),
    ("does-not-change-its-input", negatives(f"images.zero_()\n{WRONG}")),
    (
        "stays-on-its-device",
        negatives(
            WRONG.replace(".to(labels.device)", "").replace(
                "labels + ",
                "labels.clone().fill_(0).cpu() + " if False else "torch.zeros(len(labels), dtype=torch.int64) + ",
            )
        ),
    ),
    (
        "state-survives-saving",
        negatives(f"self.n = getattr(self, 'n', 0) + 1\nif self.n % 2 == 0: return (labels + 1) % classes\n{WRONG}"),
    ),
]

EVALUATOR = [
    ("gives-a-score-for-each-label", evaluator("return goodness[-1].argmax(1)")),
    ("gives-a-score-for-each-label", evaluator("return goodness[2]")),
    ("is-finite-for-any-goodness", evaluator("return goodness.exp().mean(0)")),
    ("is-pure", evaluator("return goodness.sub_(goodness.mean()).mean(0)")),
    ("is-pure", evaluator("return goodness.mean(0) + 1e-3 * torch.rand(1)")),
    ("treats-labels-equally", evaluator("return goodness.mean(0) * torch.arange(1, goodness.shape[2] + 1)")),
    ("treats-samples-independently", evaluator("return goodness.mean(0) - goodness.mean(0).mean(0)")),
    ("more-goodness-scores-higher", evaluator("return -goodness.mean(0)")),
    (
        "layers-stay-inside",
        evaluator("return goodness.mean(0)", "def layers(self, depth): return list(range(1, depth + 1))"),
    ),
    (
        "depends-on-the-layers-it-names",
        evaluator("return goodness.mean(0)", "def layers(self, depth): return [depth - 1]"),
    ),
    ("depends-on-the-layers-it-names", evaluator("return goodness[-1]")),
    ("reads-a-label-scan", evaluator("return goodness.mean(0)", "def read(self, scan): return scan.full([0]).mean(0)")),
    (
        "reads-images-independently",
        evaluator(
            "return goodness.mean(0)",
            "def read(self, scan):\n    s = scan.full(range(scan.depth)).mean(0)\n    return s - s.mean()",
        ),
    ),
    (
        "calibration-changes-nothing-else",
        evaluator("return goodness.mean(0)", "def calibrate(self, calibration): calibration.goodness.zero_()"),
    ),
    (
        "calibration-survives-saving",
        evaluator(
            "return goodness.mean(0) * getattr(self, 'w', 1)",
            "def calibrate(self, calibration): self.w = float(calibration.goodness.mean())",
        ),
    ),
    (
        "predicts-clear-cases",
        evaluator("return goodness.mean(0)", "def read(self, scan): return -scan.full(range(scan.depth)).mean(0)"),
    ),
]

HALF_FROZEN = """
class Frozen(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.used, self.unused = nn.LazyLinear(4), nn.Linear(4, 4)
    def forward(self, x):
        return self.used(x).relu()
"""

CONV = "ffprobe.LayerSpec('conv', 4)"

NETWORK = [
    ("layers-are-valid", network("return [('conv', 4)]")),
    ("layers-are-valid", network("return [ffprobe.LayerSpec('conv', 4.0)]")),
    ("layers-are-valid", network("return [ffprobe.LayerSpec('dense', 4)]")),
    ("layers-are-valid", network("return [ffprobe.LayerSpec('module')]")),
    ("layers-are-valid", network("return [ffprobe.LayerSpec('conv', 4, kernel=2)]")),
    ("layers-are-valid", network("return []")),
    ("is-deterministic", network("return [ffprobe.LayerSpec('conv', random.randint(4, 4000))]", extra="import random")),
    ("builds-and-runs", network("return [ffprobe.LayerSpec('linear', 4), ffprobe.LayerSpec('conv', 4)]")),
    ("builds-and-runs", network("return [ffprobe.LayerSpec('module', factory=lambda shape: nn.Flatten(0))]")),
    (
        "too-small-images-are-a-usage-error",
        network(f"return [ffprobe.LayerSpec('conv', 4, 2), ffprobe.LayerSpec('conv', 4, 2), {CONV}]"),
    ),
    (
        "every-layer-learns",
        network(
            "return [ffprobe.LayerSpec('module', factory=lambda s: nn.Sequential(nn.Flatten(), Frozen(s)))]",
            extra=HALF_FROZEN,
        ),
    ),
    (
        "treats-rows-independently-in-evaluation",
        network(
            "return [ffprobe.LayerSpec('module', factory=lambda s: Mix())]",
            extra="class Mix(nn.Module):\n    def forward(self, x): return x - x.mean(0) + 1",
        ),
    ),
    ("learning-rate-steps-are-sane", network(f"return [{CONV}]", "learning_rate_steps = ((0.8, 0.1), (0.4, 0.5))")),
    ("learning-rate-steps-are-sane", network(f"return [{CONV}]", "learning_rate_steps = ((100, 0.1),)")),
]

DATASET = [
    ("gives-samples", dataset("return pixels, labels")),
    ("splits-share-classes-shape-mean-and-std", dataset("mean = (float(pixels.double().mean() / 255),)")),
    ("splits-share-classes-shape-mean-and-std", dataset("names = names if split == 'train' else ('b', 'a', 'c')")),
    ("mean-and-std-are-on-the-scale-0-to-1", dataset("mean, std = (127.5,), (73.9,)")),
    ("every-class-occurs", dataset("labels = torch.arange(60) % 2")),
    ("every-class-occurs", dataset("names = ('a', 'a', 'b')")),
    ("splits-do-not-overlap", dataset("pixels = torch.arange(960).remainder(256).to(torch.uint8).view(60, 1, 4, 4)")),
    ("is-deterministic", dataset("pixels = torch.randint(0, 256, (60, 1, 4, 4), dtype=torch.uint8)")),
    ("missing-files-are-a-file-error", dataset("open(self.data_dir / 'train.bin')")),
    ("missing-files-are-a-file-error", dataset("raise ffprobe.FileError('There are no files.')")),
    (
        "downloads-only-on-request",
        dataset("urllib.request.urlopen('http://127.0.0.1:9/')", extra="import urllib.request"),
    ),
]

RULE = [
    ("builds-a-learner", plugin("Rule", "def build(self, bench): return object()")),
    (
        "lowers-its-loss",
        rule(USUAL, before="for group in self.optimizer.param_groups: group['lr'] = -abs(group['lr'])"),
    ),
    ("yields-sane-updates", rule(USUAL).replace("means = [loss.detach()", "means = [loss")),
    (
        "yields-sane-updates",
        rule(USUAL).replace("ffprobe.Update(range(i, i + 1), i", "ffprobe.Update(range(i, i + 1), i + 1"),
    ),
    ("yields-sane-updates", rule(USUAL).replace("ffprobe.Update(range(i, i + 1), i", "ffprobe.Update(i, i")),
    (
        "yields-before-gradients-are-cleared",
        rule("yield from updates\nself.optimizer.step()\nself.optimizer.zero_grad()"),
    ),
    (
        "reports-what-its-weights-followed",
        rule("self.optimizer.step()\nself.optimizer.zero_grad(set_to_none=True)\nyield from updates"),
    ),
    (
        "reports-what-its-weights-followed",
        rule(USUAL).replace("i, *means", "i, *means, changes={stack.layer(i).weight: stack.layer(i).weight.grad}"),
    ),
    ("resumes-bit-identically", rule(USUAL, state="return {}")),
    (
        "resumes-bit-identically",
        rule(
            "self.calls += 1\nif self.calls % 2: self.optimizer.step()\nyield from updates\nself.optimizer.zero_grad()"
        ),
    ),
    (
        "is-deterministic",
        rule("if random.random() < 0.5: self.optimizer.step()\nyield from updates\nself.optimizer.zero_grad()").replace(
            "import ffprobe\n", "import ffprobe\nimport random\n", 1
        ),
    ),
    ("changes-only-trained-parameters", rule(USUAL, before="images.mul_(0.5)")),
    ("changes-only-trained-parameters", rule(USUAL + "\nstack.eval()")),
    ("changes-only-trained-parameters", rule(USUAL + "\nlist(stack.parameters())[-1].requires_grad_(False)")),
    (
        "changes-only-trained-parameters",
        rule(USUAL, before="random.random()").replace("import ffprobe\n", "import ffprobe\nimport random\n", 1),
    ),
    (
        "gives-negatives-the-goodness-that-they-need",
        rule(USUAL).replace("images, bench.autocast)", "images[1:], bench.autocast)"),
    ),
    (
        "gives-negatives-the-goodness-that-they-need",
        rule(USUAL).replace(
            "images, bench.autocast)",
            "images, bench.autocast)\n"
            "        goodness = None if goodness is None else goodness.view(-1, *goodness.shape[-2:])[-1]",
        ),
    ),
    (
        "gives-negatives-the-goodness-that-they-need",
        rule(USUAL).replace("ffprobe.goodness_for_negatives", "(lambda *given: None)"),
    ),
    ("learns-with-either-form-or-refuses", rule(USUAL).replace('if bench.network.form != "pair"', "if 0")),
    ("learns-with-either-form-or-refuses", rule(USUAL).replace("hint=", "do=")),
    ("a-rate-of-zero-changes-nothing", rule(USUAL, rate="pass")),
    (
        "a-rate-of-zero-changes-nothing",
        rule(USUAL + "\nwith torch.no_grad():\n    for p in stack.parameters(): p.mul_(0.999)"),
    ),
]

VARIABLES = """
def variables(self, run):
    dims = (ffprobe.Dimension("epoch", None),)
    return [ffprobe.Variable("gap", ("epoch",), long_name="gap", dimensions=dims)]
"""

AFTER_STEP = """
@ffprobe.hookimpl
def ffprobe_after_step(self, context):
    network = context.run.network
"""

AFTER_EPOCH = "@ffprobe.hookimpl\ndef ffprobe_after_epoch(self, context):\n    "

PROBE = [
    ("declares-valid-variables", probe("def variables(self, run): return ['gap']\n")),
    ("declares-valid-variables", probe(VARIABLES.replace('long_name="gap", ', ""))),
    ("declares-valid-variables", probe(VARIABLES.replace(", dimensions=dims", ""))),
    ("declares-valid-variables", probe(VARIABLES.replace('long_name="gap"', 'dtype="f2", long_name="gap"'))),
    ("observes-without-errors", probe(f"{VARIABLES}{AFTER_EPOCH}context.record('gap', [1.0, 2.0])\n")),
    ("observes-without-errors", probe(f"{AFTER_EPOCH}return context.epoch + 1\n")),
    ("does-not-change-the-run", probe(f"{AFTER_STEP}    network.layer(0).weight.data.mul_(0.99)\n")),
    ("does-not-change-the-run", probe(f"{AFTER_STEP}    network.eval()\n")),
    ("does-not-change-the-run", probe(f"{AFTER_STEP}    network(context.images, context.labels)\n")),
    ("does-not-change-the-run", probe(f"{AFTER_STEP}    random.random()\n", extra="import random")),
    ("answers-or-names-missing-data", probe("", "return runs[0].attributes['no such attribute']")),
    ("answers-or-names-missing-data", probe("", "return {'rows': []}")),
    ("answers-or-names-missing-data", probe("", "raise ffprobe.FileError('It is not there.')")),
    (
        "names-the-missing-data-of-other-runs",
        probe("", "if 'mine' not in str(runs[0].config['probes']): raise KeyError('gap')\nreturn " + ROWS),
    ),
    (
        "answers-for-an-unfinished-run",
        probe("", "runs[0].read('final/validation_accuracy')[0] + runs[0].read('metrics/loss')[-1]\nreturn " + ROWS),
    ),
    ("takes-several-runs", probe("", "(run,) = runs\nreturn " + ROWS)),
    ("can-be-repeated", probe("", "import numpy as np\nreturn " + ROWS.replace("1.5", "np.random.rand()"))),
    ("can-be-repeated", probe("", "with open(runs[0].path, 'ab') as file: file.write(b' ')\nreturn " + ROWS)),
    (
        "its-result-is-a-json-document",
        probe("", "return " + ROWS.replace("runs=runs", "runs=runs, document={'a': {1, 2}}")),
    ),
    ("its-result-is-a-json-document", probe("", "return " + ROWS.replace("[(1.5,)]", "[]"))),
    ("its-columns-have-units", probe("", "return " + ROWS.replace('"n", "1", "count"', '"n"'))),
    (
        "its-figure-draws",
        probe("", "return " + ROWS.replace("runs=runs", "runs=runs, draw=lambda figure: figure.nothing()")),
    ),
]

OBSERVER = [
    ("observes-without-errors", plugin("Observer", f"{AFTER_EPOCH}return context.epoch + 1\n")),
    ("does-not-change-the-run", plugin("Observer", f"{AFTER_STEP}    network.layer(0).weight.data.mul_(0.99)\n")),
]

PEER = [
    (
        "claims-only-its-own-trajectories",
        plugin(
            "Peer", "def claims(self, meta): return meta['code'] == 'mine'\ndef plan(self, trajectory): return None"
        ),
    ),
    (
        "state-of-nothing-is-empty",
        plugin(
            "Peer",
            "def claims(self, meta): return False\ndef plan(self, trajectory): return None\n"
            "def state(self, recorded): return {'w': recorded['w']}",
        ),
    ),
]

RUN = 'yield ffprobe.JobEvent(job, "running")'
TOGETHER = f"""
started = []
for job in jobs:
    started.append((job, start(job)))
    {RUN}
try:
    for job, process in started:
        yield ended(job, process)
finally:
    for job, process in started:
        stop(process)
"""
LEFT = f"""
job = jobs[0]
process = start(job)
{RUN}
try:
    while process.poll() is None:
        yield time.sleep(0.2)
finally:
    threading.Timer(8, stop, [process]).start()
"""
EXECUTOR = [
    ("every-job-ends-once", executor("for job in jobs[1:]: yield ended(job, start(job))")),
    ("every-job-ends-once", executor("for job in jobs: start(job).wait(); yield ffprobe.JobEvent(job, 'finished')")),
    (
        "every-job-ends-once",
        executor("for job in jobs:\n    end = ended(job, start(job))\n    yield end\n    yield end"),
    ),
    ("respects-the-job-limit", executor(TOGETHER)),
    ("closing-stops-running-jobs", executor(LEFT)),
]
