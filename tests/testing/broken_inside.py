"""Broken components of the kinds inside a layer: (check, plugin text), one requirement of the contract each."""

from __future__ import annotations

from testing.broken import encoder, goodness, loss, normalizer, plugin

SQUARES = "return h.float().flatten(1).square().mean(1)"

SYMBA = "return nn.functional.softplus(n - p).mean()"

OVERLAY = """
x = images.clone()
x[:, 0, 0, :classes] = 0
x[torch.arange(len(x)), 0, 0, labels % 8] += labels // 8 + 1
return x
"""

NEUTRAL = "x = images.clone(); x[:, 0, 0, :classes] = 0; return x"

PARTS = """
label = torch.zeros(classes, *shape)
label[torch.arange(classes), 0, 0, torch.arange(classes) % 8] = torch.arange(classes) // 8 + 2.0
return self.neutral(images), label, None
"""

COMPONENT = [
    ("name-is-kebab-case", normalizer("return x").replace('"mine"', '"Power_Norm"')),
    ("name-is-unique", normalizer("return x").replace('"mine"', '"rms"')),
    ("name-is-unique", normalizer("return x", more='aliases = ("bn",)\n')),
    ("is-announced-in-its-source", normalizer("return x").replace('"mine"', '"mi" + "ne"')),
    ("has-a-summary", normalizer("return x", doc="")),
    ("names-its-source", normalizer("return x", more="source = 3\n")),
    (
        "settings-are-frozen",
        normalizer("return x")
        .replace("    name =", "    class Params(BaseModel):\n        model_config = {'extra': 'forbid'}\n    name =")
        .replace("import ffprobe\n", "import ffprobe\nfrom pydantic import BaseModel\n", 1),
    ),
    ("settings-are-frozen", normalizer("return x", params='model_config = {"frozen": False}')),
    ("settings-refuse-unknown-keys", normalizer("return x", params='model_config = {"extra": "ignore"}')),
    ("settings-are-described", normalizer("return x", params="exponent: float = 0.5")),
    ("defaults-build", normalizer("return x", params='exponent: float = Field(description="of the length")')),
    ("defaults-build", normalizer("return x", more="def __init__(self, params=None): raise OSError('no')\n")),
    (
        "stores-its-settings",
        normalizer(
            "return x",
            more="def __init__(self, params=None): super().__init__()\n",
            params='a: float = Field(default_factory=lambda: __import__("random").random(), description="1")',
        ),
    ),
    (
        "settings-survive-the-file",
        normalizer("return x", params='a: object = Field(default_factory=object, description="1")'),
    ),
    ("uses-public-names-only", normalizer("return x", extra="from ffprobe.network.network import LayeredNetwork")),
    ("uses-public-names-only", normalizer("return x", extra="import ffprobe.store.reader")),
    ("state-fits-a-checkpoint", loss(SYMBA, "def state_dict(self): return {'seen': {1, 2}}")),
]

NORMALIZER = [
    ("builds-a-module-or-raises-usage-error", plugin("Normalizer", "def build(self, shape): return lambda x: x")),
    (
        "builds-a-module-or-raises-usage-error",
        plugin(
            "Normalizer", "def build(self, shape): return nn.BatchNorm2d(shape[0] if len(shape) == 3 else shape[2])"
        ),
    ),
    (
        "builds-a-module-or-raises-usage-error",
        plugin("Normalizer", "def build(self, shape): raise ffprobe.UsageError('no.')"),
    ),
    ("is-deterministic", normalizer("return x * (1 + id(self) % 1000)")),
    ("is-deterministic", normalizer("return x + torch.rand(1)", more="keeps_statistics = True\n")),
    ("does-not-change-its-input", normalizer("return x.sub_(x.mean())")),
    ("treats-rows-independently-in-evaluation", normalizer("return x / (x.mean() + 1)")),
    ("treats-rows-independently-in-evaluation", normalizer("return x.squeeze(0) * 2 if len(x) == 1 else x")),
    ("takes-channels-last", normalizer("return x.view(len(x), -1).mul(2).view(x.shape)")),
    ("works-in-bf16", normalizer("return x @ self.w", "self.w = nn.Parameter(torch.eye(shape[-1]).double())")),
    ("works-in-bf16", normalizer("return x * x.abs().sum(tuple(range(1, x.dim())), keepdim=True).mul(1e38)")),
    ("works-in-float64", normalizer("return x.float() * 2")),
    (
        "state-survives-saving",
        normalizer(
            "if not self.training: return x - self.mean\n"
            "self.mean = 0.9 * self.mean + float(x.mean())\nreturn x - x.mean()",
            "self.mean = 0.0",
            "keeps_statistics = True\n",
        ),
    ),
    ("moves-with-its-device", normalizer("return x * self.scale", "self.scale = torch.ones(shape)")),
    (
        "moves-with-its-device",
        normalizer("return x + torch.ones(shape)"),
    ),
    ("position-is-known", normalizer("return x", more='position = "inputs"\n')),
    ("keeps-the-shape", normalizer("return x.flatten(1)")),
    ("keeps-the-shape", normalizer("return x.double()")),
    ("is-finite-for-any-input", normalizer("return x / x.flatten(1).norm(dim=1).view(-1, *[1] * (x.dim() - 1))")),
    ("gradient-flows", normalizer("return x.detach() * 2")),
    ("gradient-flows", normalizer("return (x > 0).to(x.dtype) + 0 * x")),
    (
        "gradient-is-finite-at-zero",
        normalizer("return x / (x.flatten(1).square().mean(1).sqrt() + 1e-8).view(-1, *[1] * (x.dim() - 1))"),
    ),
    (
        "training-differs-only-as-declared",
        plugin(
            "Normalizer",
            "def build(self, shape): return nn.BatchNorm2d(shape[0]) if len(shape) == 3 else nn.BatchNorm1d(shape[0])",
        ),
    ),
    ("training-differs-only-as-declared", normalizer("return x * 2", more="keeps_statistics = True\n")),
    (
        "training-differs-only-as-declared",
        normalizer("self.seen += len(x)\nreturn x * 2", 'self.register_buffer("seen", torch.zeros(1))'),
    ),
    (
        "takes-one-image-or-raises",
        normalizer("return (x - x.mean(0)) / x.std(0) if self.training else x", more="keeps_statistics = True\n"),
    ),
    ("parameters-learn", normalizer("return x", "self.scale = nn.Parameter(torch.ones(1))")),
    ("is-affine-if-declared", normalizer("return x / (1 + x.flatten(1).norm())", more="affine = True\n")),
]

GOODNESS = [
    ("form-is-known", goodness(SQUARES, more='form = "single"\n')),
    ("has-the-shape-of-its-form", goodness("return h.square().mean()")),
    ("has-the-shape-of-its-form", goodness(SQUARES, more='form = "class"\n')),
    ("has-the-shape-of-its-form", goodness("return h.float().flatten(1).square().mean(1).squeeze()")),
    ("is-float32-even-under-bf16", goodness("return h.flatten(1).square().mean(1)")),
    ("is-float32-even-under-bf16", goodness("return h.double().flatten(1).square().mean(1)")),
    ("is-finite-for-any-activation", goodness("return h.float().flatten(1).square().mean(1).log()")),
    ("distinguishes-activations", goodness("return h.float().flatten(1).sum(1) * 0 + 1")),
    ("gradient-reaches-the-activation", goodness("return h.detach().float().flatten(1).square().mean(1)")),
    ("gradient-reaches-the-activation", goodness("return h.float().flatten(1).square().mean(1).sqrt()")),
    ("parameters-learn", goodness(SQUARES, "self.unused = nn.Linear(2, 2)")),
    ("does-not-change-its-input", goodness("return h.mul_(2).float().flatten(1).square().mean(1)")),
    (
        "treats-rows-independently-in-evaluation",
        goodness("g = h.float().flatten(1).square().mean(1); return g - g.mean()"),
    ),
    ("works-in-float64", goodness(SQUARES)),
]

ENCODER = [
    ("neutral-has-the-shape-of-the-encoding", encoder(OVERLAY, "return images[:, :, 1:]")),
    ("neutral-has-the-shape-of-the-encoding", encoder(OVERLAY, "return images.long()")),
    ("neutral-has-the-shape-of-the-encoding", encoder(OVERLAY, "return images / 0")),
    ("labels-are-distinguishable", encoder("return images + 0", NEUTRAL)),
    ("labels-are-distinguishable", encoder("return images + (labels % 5)[:, None, None, None]", NEUTRAL)),
    ("labels-are-distinguishable", encoder(OVERLAY, NEUTRAL, more="shows_label = False\n")),
    ("neutral-favours-no-label", encoder(OVERLAY, "return self(images, torch.zeros(len(images), dtype=torch.int64))")),
    ("is-learned-as-declared", encoder(OVERLAY, NEUTRAL, more="learned = True\n")),
    ("is-learned-as-declared", encoder(OVERLAY, NEUTRAL, "self.table = nn.Parameter(torch.ones(3))")),
    ("is-learned-as-declared", encoder(OVERLAY, NEUTRAL, more='learned = "yes"\n')),
    (
        "gradient-only-if-learned",
        encoder(
            OVERLAY.replace("return x", "return x * self.w"), NEUTRAL, "self.w = torch.ones(1, requires_grad=True)"
        ),
    ),
    ("parts-add-up-to-the-encoding", encoder(OVERLAY, NEUTRAL, parts=PARTS)),
    ("serves-many-classes-or-refuses", encoder("return images + (labels % 16)[:, None, None, None]", NEUTRAL)),
    ("does-not-change-its-input", encoder("return images.add_(labels[:, None, None, None])", NEUTRAL)),
    ("is-deterministic", encoder(OVERLAY.replace("return x", "return x + 0.01 * torch.rand_like(x)"), NEUTRAL)),
    (
        "treats-rows-independently-in-evaluation",
        encoder(OVERLAY.replace("return x", "return x * images.max()"), NEUTRAL),
    ),
    (
        "moves-with-its-device",
        encoder("return images + self.table[labels]", NEUTRAL, "self.table = torch.randn(classes, 1, 1, 1)"),
    ),
]

LOSS = [
    ("form-is-known", loss(SYMBA, 'form = "pairs"')),
    ("is-a-scalar", loss("return nn.functional.softplus(n - p)")),
    (
        "works-for-every-shape-or-raises-usage-error",
        loss("return nn.functional.softplus(n - p).mean() + 0 * context.activation.mean(dim=(2, 3)).sum()"),
    ),
    ("is-a-scalar", loss("return float((n - p).mean())")),
    ("is-a-scalar", loss("return (n - p).mean() + context.earlier[0][0].mean()")),
    ("works-in-float64", loss("return nn.functional.softplus(n - p).mean().float()")),
    ("is-finite-for-any-goodness", loss("return (1 + (n - p).exp()).log().mean()")),
    ("is-finite-for-any-goodness", loss("return (n / p).mean()")),
    ("gradient-reaches-the-goodness", loss("return nn.functional.softplus(n - p.detach()).mean()")),
    ("gradient-reaches-the-goodness", loss("return (n - p).mean().detach()")),
    (
        "gradient-stays-in-its-layer",
        loss(
            "self.seen = getattr(self, 'seen', 0) + p.mean()\n"
            "return nn.functional.softplus(n - p).mean() - 0.1 * self.seen"
        ),
    ),
    ("order-of-the-batch-does-not-matter", loss("return (torch.arange(len(p)) * (n - p)).mean()")),
    ("is-a-mean-over-images-unless-declared-otherwise", loss("return nn.functional.softplus(n - p).sum()")),
    ("wrong-order-costs-more", loss("return nn.functional.softplus(p - n).mean()")),
    ("wrong-order-costs-more", loss("return (n - p).square().mean()")),
    ("gradient-points-the-right-way", loss("return -nn.functional.softplus(n - p).mean() + 100 * (n - p > 0).sum()")),
    ("does-not-change-its-input", loss("p += 1\nreturn nn.functional.softplus(n - p).mean()")),
    ("does-not-change-its-input", loss("context.labels.zero_()\nreturn nn.functional.softplus(n - p).mean()")),
    (
        "is-deterministic-and-its-state-survives",
        loss("self.calls = getattr(self, 'calls', 0) + 1\nreturn nn.functional.softplus(n - p).mean() * self.calls"),
    ),
    (
        "derivatives-agree-with-autograd",
        loss(SYMBA, "def derivatives(self, p, n):\n    s = torch.sigmoid(n - p); return -s, s"),
    ),
]
