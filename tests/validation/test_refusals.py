"""What cannot be trained, compared or read is refused in words that say what to do."""

import pytest

torch = pytest.importorskip("torch")

from torch import nn

from rhmtheory import RHM, InputError
from rhmvalidation import Settings, train
from rhmvalidation.diagnostics.coordinates import coordinate_check
from rhmvalidation.studies import preset

SWEEP = """
summary = "one"
[[sweep]]
network = "cnn"
arguments = { width = 8 }
ensemble = { v = 4, m = 2, s = 2, L = 2 }
grammars = 1
samples = { highest = 64 }
training = { learning_rate = 1.0, protocol = "online" }
"""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (SWEEP.encode("utf-16"), r"bad\.toml is not UTF-8 text: save it as such"),
        (b'summary = "none"\nsweep = 1', r"must hold one or more tables headed \[\[sweep\]\]"),
        (b'summary = "none"\nsweep = []', r"must hold one or more tables headed \[\[sweep\]\]"),
        (SWEEP.replace("{ width = 8 }", "1").encode(), r"sweep 1, arguments=1 is no table"),
        (SWEEP.replace("summary", "# summary").encode(), r"lacks the key 'summary': add it"),
        (SWEEP.encode() + b"colour = 1\n", r"sweep 1 has the unknown key 'colour': known are "),
    ],
)
def test_presets_that_say_no_study(tmp_path, content, message):
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        preset.load_preset(path)


def test_the_coordinate_check_needs_a_factory_that_takes_the_width():
    with pytest.raises(InputError, match=r"cannot be made for .* with .*width.*: TypeError"):
        coordinate_check("own_models:Cheat", RHM(v=4, m=2, s=2, L=2), widths=(8, 16))


class Fixed(nn.Module):
    """Says the same to everything."""

    def forward(self, tokens):
        return torch.zeros(*tokens.shape[:-1], 4)


def test_a_module_without_parameters_has_nothing_to_train():
    with pytest.raises(InputError, match="no parameters to train"):
        train(
            Fixed(),
            RHM(v=4, m=2, s=2, L=2).grammar(seed=0),
            settings=Settings(learning_rate=1.0, max_steps=2),
            P=16,
        )
