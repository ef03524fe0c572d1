"""Denoisers, one file each, listed by name: ``denoiser.prepare(workspace) -> Prepared``."""

from avparse.training.denoisers.baselines import (
    ClassPriorDenoiser,
    InformedCeiling,
    OracleDenoiser,
    ValidationClassifierDenoiser,
)
from avparse.training.denoisers.denoiser import Denoiser
from avparse.training.denoisers.joint import JointDenoiser
from avparse.training.denoisers.jomold import JointModalityDenoising
from avparse.training.denoisers.ma import ModalityExchange
from avparse.training.denoisers.pld import PseudoLabelDenoising
from avparse.training.denoisers.plus import PlusDenoiser
from avparse.training.denoisers.rlld import RLLDDenoiser
from avparse.training.registry import DENOISERS

_BY_NAME: dict[str, type[Denoiser]] = {
    "class-prior": ClassPriorDenoiser,
    "informed-ceiling": InformedCeiling,
    "jomold": JointModalityDenoising,
    "ma": ModalityExchange,
    "oracle": OracleDenoiser,
    "pld": PseudoLabelDenoising,
    "rlld": RLLDDenoiser,
    "rlld-plus": PlusDenoiser,
    "rlld-joint": JointDenoiser,
    "validation-classifier": ValidationClassifierDenoiser,
}
DENOISERS.update(_BY_NAME)

__all__ = ["DENOISERS", "Denoiser"]
