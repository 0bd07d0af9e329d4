# SPDX-License-Identifier: BSD-3-Clause
"""Systems side by side: each trained for as long on the same pictures, and scored."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from export.lowering import lower
from loihi_unet.config import TrainConfig, load_config, parse_config
from loihi_unet.conversion.normalise import trained_directly
from loihi_unet.data.datasets import load_data
from loihi_unet.data.pictures import Picture
from loihi_unet.errors import ConversionError
from loihi_unet.files.checkpoint import (
    find_checkpoint,
    load_checkpoint,
    read_checkpoint,
)
from loihi_unet.networks.config import FCNConfig, ModelConfig, NeuronConfig, NeuronKind
from loihi_unet.networks.net import Net
from loihi_unet.reproduce.networks import Conversion, Networks
from loihi_unet.reproduce.scales import Contest, Subject
from loihi_unet.reproduce.score import integers, middle, score, shown_pixels
from loihi_unet.reproduce.store import Store, folder_sha256
from loihi_unet.spiking.spiking_unet import SpikingUNet
from loihi_unet.tasks.denoise import Network
from loihi_unet.training.parallel import best_device
from loihi_unet.training.state import RunFiles
from loihi_unet.training.train import train
from sim.backend import create
from sim.verify.comparison import compare

#: Side in pixels of the square on which two backends are compared.
VERIFIED = 32

#: ``ANN``: the network of ReLUs. ``DT``: trained directly, from random weights. ``FT``:
#: with the neuron in the ANN's place, from its normalised weights. ``flow``: converted,
#: and fine-tuned on its integers by accumulated spiking flow.
Way = Literal["ANN", "DT", "FT", "flow"]


@dataclass(frozen=True, kw_only=True)
class System:
    """A competitor.

    Attributes
    ----------
    name : str
        As the table calls it.
    way : str
        How it comes to its weights.
    neuron : str
        As in `loihi_unet.config.NeuronConfig`.
    fcn : bool
        Spiking-FCN's network, of the same width, instead of the contest's own.
    num_steps : int or None
        T; None: the contest's.
    """

    name: str
    way: Way
    neuron: NeuronKind = "relu"
    fcn: bool = False
    num_steps: int | None = None


class Contestants:
    """Everything that is made for a contest, each part once.

    Parameters
    ----------
    contest : Contest
        Settings and lengths.
    store : Store
        Where what was made lies.
    data_root : Path
        Folder of the data sets.
    """

    def __init__(self, contest: Contest, store: Store, data_root: Path) -> None:
        self.contest = contest
        self.store = store
        self.data_root = data_root
        self.train_folder = data_root / contest.train
        self.test_folder = data_root / contest.test

    def settings(self) -> dict[str, Any]:
        """Return what decides every competitor, JSON values.

        Raises
        ------
        UserError
            If pictures cannot be found.
        """
        return {
            "contest": self.contest.model_dump(mode="json"),
            "train": folder_sha256(self.train_folder),
            "test": folder_sha256(self.test_folder),
        }

    def config(self, system: System) -> TrainConfig:
        """Return the settings that a competitor is trained with."""
        contest = self.contest
        changes = {"ANN": {}, "DT": contest.direct, "FT": contest.finetune}
        loaded = load_config(
            contest.config, {**contest.changes, **changes.get(system.way, {})}
        )
        model: ModelConfig = loaded.model
        if system.fcn:
            assert model.kind == "unet"  # segmentation's
            model = FCNConfig(
                in_channels=model.in_channels,
                out_channels=model.out_channels,
                base_channels=model.base_channels,
                residual=False,
                batch_norm=model.batch_norm,
            )
        steps = system.num_steps or contest.num_steps
        neuron = NeuronConfig()
        if system.neuron != "relu":
            neuron = NeuronConfig(kind=system.neuron, num_steps=steps)
        changed = {"model": model.model_dump(), "neuron": neuron.model_dump()}
        return parse_config({**loaded.model_dump(), **changed}, where=contest.config)

    def trained(self, system: System) -> tuple[Path, dict[str, Any]]:
        """Return a competitor's run and how it went, trained now if it must be.

        A run that was stopped goes on from its last checkpoint.
        """
        config = self.config(system)
        settings = {
            "kind": "train",
            "config": config.model_dump(mode="json"),
            "train": folder_sha256(self.train_folder),
        }
        init = None
        if system.way == "FT":
            init, _ = self.trained(self.ann())
            settings["init"] = self.config(self.ann()).model_dump(mode="json")
        run = self.store.path(settings, "")

        def measure() -> dict[str, Any]:
            resume = RunFiles(run).last.exists()
            start = None if resume else init
            result = train(config, self.train_folder, run, resume, init=start)
            return {"best_score": result.best_score, "iterations": result.iterations}

        return run, self.store.get(settings, measure)

    def ann(self) -> System:
        """Return the competitor that others begin with."""
        return System(name="ANN", way="ANN")

    def subject(self, system: System) -> Networks:
        """Return the ANN as the tables of one network see it, with a system's T."""
        contest = self.contest
        run, _ = self.trained(self.ann())
        subject = Subject(
            model=str(run),
            train=contest.train,
            test=contest.test,
            sigma=contest.sigmas[0] if contest.sigmas else None,
            num_steps=system.num_steps or contest.num_steps,
            pictures=contest.pictures,
            side=contest.side,
        )
        return Networks(subject, self.store, self.data_root)

    def flow(self, system: System) -> tuple[SpikingUNet, dict[str, Any]]:
        """Return the network fine-tuned on its integers, and how that went."""
        steps = system.num_steps or self.contest.num_steps
        networks = self.subject(system)
        conversion = Conversion(num_steps=steps)
        tuned = networks.tuned(conversion, self.contest.flow)
        went = networks.tuning(conversion, self.contest.flow)
        return tuned, {**went, "iterations": self.contest.flow.iterations}

    def spiking(self, system: System) -> tuple[SpikingUNet | None, str]:
        """Return what goes to the chip, or None and why nothing does."""
        if system.way == "flow":
            return self.flow(system)[0], ""
        run, _ = self.trained(system)
        checkpoint = read_checkpoint(find_checkpoint(run))
        try:
            return trained_directly(checkpoint.model, checkpoint.record), ""
        except ConversionError as error:
            return None, str(error)

    def pictures(self) -> list[Picture]:
        """Return the contest's test pictures, cut to its side."""
        task = self.config(self.ann()).task
        channels = self.config(self.ann()).model.in_channels
        loaded = load_data(task, self.test_folder, channels, "test")
        count, side = self.contest.pictures or None, self.contest.side
        return [middle(picture, side) for picture in loaded[:count]]

    def measure(self, system: System) -> dict[str, Any]:
        """Return a competitor's row: lengths, scores, and whether backends agree."""
        config = self.config(system)
        pictures = self.pictures()
        row: dict[str, Any] = {
            "measured_on": [len(pictures), *pictures[0].pixels.shape[1:]],
            "floats": None,
            "chip": None,
            "identical": None,
            "why": "",
        }
        if system.way == "flow":
            _, went = self.flow(system)
        else:
            run, went = self.trained(system)
            network = on_device(load_checkpoint(run)[0])
            row["floats"] = self._scores(network, pictures, config)
        row["iterations"] = went["iterations"]
        row["train_seconds"] = went["seconds"]
        if system.way in ("FT", "flow"):
            row["ann_seconds"] = self.trained(self.ann())[1]["seconds"]
        if system.way != "ANN":
            snn, row["why"] = self.spiking(system)
            if snn is not None:
                whole = integers(snn)
                row["chip"] = self._scores(whole, pictures, config)
                row["identical"] = self._identical(snn, pictures)
        return row

    def _scores(
        self, network: Network, pictures: list[Picture], config: TrainConfig
    ) -> dict[str, Any]:
        if not self.contest.sigmas:
            return score(network, pictures, config, None)
        return {
            f"{sigma:g}": score(network, pictures, config, sigma)
            for sigma in self.contest.sigmas
        }

    def _identical(self, snn: SpikingUNet, pictures: list[Picture]) -> bool:
        """Compare torch with the reference on a square, every layer at every step."""
        sigma = self.contest.sigmas[0] if self.contest.sigmas else None
        square = middle(pictures[0], VERIFIED, snn.multiple)
        pixels = shown_pixels(square, 0, sigma)[None]
        network = lower(snn, *pixels.shape[2:])
        left, right = (
            create(name).run(network, pixels) for name in ("torch", "reference")
        )
        return compare(left, right).identical


def on_device(model: Net) -> Network:
    """Return a network that takes and gives CPU tensors, on the GPU if there is one."""
    device = best_device()
    model.to(device)
    return lambda x: model(x.to(device)).cpu()
