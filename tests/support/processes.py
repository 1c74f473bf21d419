"""Option files for several processes, and the arguments of their trainings."""

from pathlib import Path

import yaml

from support.experiments import tiny_network, write_options
from support.host_networks import host_options
from support.trainings import GAN, MODELS as SMALL

NETWORK = tiny_network(dim=4, d_state=1, num_blocks=[1, 0, 0, 0])
SWINIR = host_options("SwinIR")
SWINIR["network_g"]["drop_path_rate"] = 0  # its random numbers would be each process's own
MODELS = {
    "VmambaIRModel": {"network_g": NETWORK},
    "SwinIRModel": SWINIR,  # has buffers, and is trained without averaged weights
    "SRGANModel": {**SMALL["SRGANModel"], "network_d": GAN["network_d"]},
}
# Not GAN's RMSprop: its first steps are as large for a rounding error as for a gradient.
ADVERSARIAL = {**GAN["gan"], "optim_d": {"type": "SGD", "lr": 0.1}}


def write(pairs: Path, name: str, model: str = "VmambaIRModel", *, batch: int = 1) -> str:
    """An option file: ten iterations on five images, which are validated twice."""
    Path("five.txt").write_text("".join(f"{number}.png (64,72,3)\n" for number in range(5)))
    path = Path(write_options(pairs, name, **{**MODELS[model], "model_type": model}))
    opt = yaml.safe_load(path.read_text())
    for section in opt["datasets"].values():
        section["meta_info_file"] = "five.txt"
    opt["datasets"]["train"]["batch_size_per_gpu"] = batch
    opt["train"].update(total_iter=10, **ADVERSARIAL if "GAN" in model else {})
    opt["train"]["ema_decay"] = 0 if model == "SwinIRModel" else 0.9
    opt["val"]["val_freq"] = opt["logger"]["save_checkpoint_freq"] = 5
    path.write_text(yaml.safe_dump(opt))
    return str(path)


def train(path: str, *forced: str, resume: bool = False) -> list[str]:
    arguments = ["train", "-opt", path, *(["--auto_resume"] if resume else [])]
    return [*arguments, "--force_yml", *forced] if forced else arguments
