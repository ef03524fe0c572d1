"""Published weights: official state dicts are converted to our parsers, with every tensor accounted for.

There is one file for each family of networks; :data:`OFFICIAL` lists the systems by name.
"""

from __future__ import annotations

import torch
from torch import Tensor

from avparse.foundation.errors import UserError
from avparse.foundation.settings import build, lookup
from avparse.models.official import cmpae, cpsp, cvcms, dhhn, han, mgn, pyramid
from avparse.models.official.system import Names, OfficialSystem, StateDict
from avparse.models.parsers import PARSERS, Parser

OFFICIAL: dict[str, OfficialSystem] = {
    **han.SYSTEMS,
    **pyramid.SYSTEMS,
    **cpsp.SYSTEMS,
    **cmpae.SYSTEMS,
    **mgn.SYSTEMS,
    **cvcms.SYSTEMS,
    **dhhn.SYSTEMS,
}


def load_official(system: str, state_dict: StateDict) -> Parser:
    """Build a parser from a released network's state dict.

    Args:
        system: name of a published system in :data:`OFFICIAL`.
        state_dict: official tensors by name.

    Returns:
        The parser, in evaluation mode. LEAP's has no class vectors yet: add them with
        :func:`avparse.models.parsers.classes.with_classes`.

    Raises:
        UserError: the system is unknown, or a tensor is missing, misshapen or neither used nor known as unused; each
            such tensor is named.
    """
    known = lookup(OFFICIAL, system, "system")
    state = _without_prefix(state_dict)
    names = known.names(state)
    used = [official for group in names.values() for official in group]
    problems = [f"missing {name}" for name in used if name not in state]
    accounted = {*used, *known.unused(state)}
    problems += [f"unexpected {name}" for name in state if name not in accounted]
    if problems:
        raise UserError(f"{system}: not this system's weights: {', '.join(problems)}")
    try:
        parser: Parser = build(PARSERS, known.config(state), known.spec(state))
    except (IndexError, TypeError):
        matrices = [f"{n} {tuple(state[n].shape)}" for n in used if n.endswith("weight") and state[n].dim() < 2]
        raise UserError(f"{system}: one of these should be a matrix: {', '.join(matrices)}") from None
    except UserError as error:
        raise UserError(f"{system}: the sizes of its tensors make no network ({error})") from None
    ours = _joined(names, state, parser, system)
    # Buffers are values that the released weights do not hold: LEAP's class vectors, which are an input there.
    parser.load_state_dict({**dict(parser.named_buffers()), **ours})
    return parser.eval()


def _joined(names: Names, state: StateDict, parser: Parser, system: str) -> dict[str, Tensor]:
    """Return the parser's tensors, each concatenated from official ones."""
    wrong, ours = [], {}
    expected = {name: tuple(tensor.shape) for name, tensor in parser.state_dict().items()}
    for name, official in names.items():
        parts, shape = [state[o] for o in official], expected[name]
        if all(p.dim() and p.shape[1:] == shape[1:] for p in parts) and sum(map(len, parts)) == shape[0]:
            ours[name] = torch.cat(parts)
        else:
            found = "+".join(str(tuple(p.shape)) for p in parts)
            wrong.append(f"{'+'.join(official)} has shape {found}, expected {shape}")
    if wrong:
        raise UserError(f"{system}: {', '.join(wrong)}")
    return ours


def ignored_names(system: str, state_dict: StateDict) -> list[str]:
    """Return the official names that :func:`load_official` knows as unused and drops."""
    state = _without_prefix(state_dict)
    unused = set(lookup(OFFICIAL, system, "system").unused(state))
    return [given for given, name in zip(state_dict, state, strict=True) if name in unused]


def _without_prefix(state_dict: StateDict) -> dict[str, Tensor]:
    """Return the tensors under their names before the network was wrapped for several devices."""
    return {name.removeprefix("module."): tensor for name, tensor in state_dict.items()}
