"""Writes what the suite is served: a repository of the demo models and of TorchScript modules.

    modules.py DEMO REPOSITORY

- `clip` and `yolo`: the demo models.
- `affine`: twice the input and one, and the sums of its rows; FP32 [rows, 3], at most 4 rows.
- `kinds` and `halves`: a tensor [2, 2] of every datatype that a module may have, given back
  changed; in `halves` those that have no typed contents.
- `spare`: `affine` again, for whoever loads models.
- `broken`: no module at all.
"""

import shutil
import sys
import zipfile
from pathlib import Path

# Datatypes in the protocol's words, and what a module makes of a tensor `x` of that kind.
KINDS = {
    "BOOL": "torch.logical_not(x)",
    **{kind: "torch.add(x, 1)" for kind in ["UINT8", "INT8", "INT16", "INT32", "INT64"]},
    **{kind: "torch.mul(x, 2)" for kind in ["FP32", "FP64"]},
}
HALVES = {"FP16": "torch.mul(x, 2)", "BF16": "torch.mul(x, 2)"}

AFFINE = """\
  def forward(self: __torch__.Net, x: Tensor) -> Tuple[Tensor, Tensor]:
    y = torch.add(torch.mul(x, 2), 1)
    return (y, torch.sum(x, [1]))
"""

AFFINE_MANIFEST = """\
kind = "torchscript"
[torchscript]
max_batch_size = 4
inputs = [{ name = "X", datatype = "FP32", dims = [3] }]
outputs = [
    { name = "Y", datatype = "FP32", dims = [3] },
    { name = "SUM", datatype = "FP32", dims = [] },
]
"""


def source(kinds):
    """The forward of a module that changes a tensor of each of these kinds."""
    names = [f"x{at}" for at in range(len(kinds))]
    takes = ", ".join(f"{name}: Tensor" for name in names)
    gives = ", ".join(["Tensor"] * len(kinds))
    lines = [f"  def forward(self: __torch__.Net, {takes}) -> Tuple[{gives}]:"]
    for name, makes in zip(names, kinds.values()):
        lines.append(f"    {name.replace('x', 'y')} = {makes.replace('x', name)}")
    lines.append(f"    return ({', '.join(name.replace('x', 'y') for name in names)})")
    return "\n".join(lines) + "\n"


def manifest(kinds):
    """Its manifest: inputs X_FP32 and so on, outputs Y_FP32 and so on."""
    lines = ['kind = "torchscript"', "[torchscript]"]
    for key, letter in [("inputs", "X"), ("outputs", "Y")]:
        tensors = [
            f'{{ name = "{letter}_{kind}", datatype = "{kind}", dims = [2, 2] }}' for kind in kinds
        ]
        lines.append(f"{key} = [{', '.join(tensors)}]")
    return "\n".join(lines) + "\n"


def write_module(folder, forward, described):
    """A module by its source: a zip of that, of a pickle of an object without attributes, and of
    no constants."""
    folder.mkdir(parents=True)
    code = f"class Net(Module):\n  __parameters__ = []\n  __buffers__ = []\n{forward}"
    with zipfile.ZipFile(folder / "net.pt", "w") as archive:
        archive.writestr("net/data.pkl", b"\x80\x02c__torch__\nNet\n)\x81}b.")
        archive.writestr("net/code/__torch__.py", code)
        archive.writestr("net/constants.pkl", b"\x80\x02).")
        archive.writestr("net/version", "3\n")
    (folder / "model.toml").write_text(described)


def main():
    demo, repository = Path(sys.argv[1]), Path(sys.argv[2])
    shutil.rmtree(repository, ignore_errors=True)
    for name in ["clip", "yolo"]:
        shutil.copytree(demo / name, repository / name / "1")
    write_module(repository / "affine" / "1", AFFINE, AFFINE_MANIFEST)
    write_module(repository / "spare" / "1", AFFINE, AFFINE_MANIFEST)
    for name, kinds in [("kinds", KINDS), ("halves", HALVES)]:
        write_module(repository / name / "1", source(kinds), manifest(kinds))
    write_module(repository / "broken" / "1", AFFINE, AFFINE_MANIFEST)
    (repository / "broken" / "1" / "net.pt").write_bytes(b"no module")


if __name__ == "__main__":
    main()
