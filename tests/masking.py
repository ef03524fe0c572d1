"""What every parser owes to masks, as checks for the tests of each."""

from __future__ import annotations

import torch

from avparse.data.features import Features, TaskSpec
from avparse.models import Parser, ParserOutput

SPEC = TaskSpec(classes=("a", "b", "c"), streams={"audio": 6, "frames": 9}, segments=7)
SEGMENTS = ("audio_segments", "visual_segments")
VIDEOS = ("audio", "visual", "video")


def streams(batch: int, segments: int, seed: int = 1) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {n: torch.randn(batch, segments, d, generator=generator) for n, d in SPEC.streams.items()}


def _close(a: ParserOutput, b: ParserOutput, names: tuple[str, ...], segments: int) -> None:
    for name in names:
        x, y = getattr(a, name), getattr(b, name)
        y = y[:, :segments] if name in SEGMENTS else y
        assert torch.allclose(x, y, atol=1e-6), (name, (x - y).abs().max())


def check_padding(parser: Parser, segments: int) -> None:
    """In a padded batch the result for a video is what it is alone."""
    unpadded = streams(2, segments)
    padded = {n: torch.cat((x, torch.full((2, 5, x.shape[-1]), 1e3)), dim=1) for n, x in unpadded.items()}
    mask = torch.arange(segments + 5).expand(2, -1) < segments
    with torch.no_grad():
        a, b = parser(Features(unpadded)), parser(Features(padded, mask, mask))
    _close(a, b, (*SEGMENTS, *VIDEOS), segments)
    for name in SEGMENTS:
        assert (getattr(b, name)[:, segments:] == 0).all()


def check_absence(parser: Parser) -> None:
    """An absent modality has probability zero, and what stands in its stream does not matter."""
    given = streams(2, 7)
    silent = torch.tensor([[True] * 7, [False] * 7])
    partly = torch.tensor([[True] * 7, [True, False, True, True, False, False, True]])
    noise = {**given, "audio": given["audio"] + 100 * (~silent).unsqueeze(-1)}
    noise["frames"] = given["frames"] + 100 * (~partly).unsqueeze(-1)
    with torch.no_grad():
        a, b = parser(Features(given, silent, partly)), parser(Features(noise, silent, partly))
        both = parser(Features(given))
    assert torch.isfinite(a.video).all()
    assert (a.audio_segments[1] == 0).all()
    assert (a.audio[1] == 0).all()
    assert (a.visual_segments[1][~partly[1]] == 0).all()
    for name in (*SEGMENTS, *VIDEOS):
        assert torch.equal(getattr(a, name), getattr(b, name)), name
    assert torch.allclose(a.visual_segments[0], both.visual_segments[0], atol=1e-6)


def check_unimodal(parser: Parser) -> None:
    """Without ``cross`` each modality is parsed as if the other were absent."""
    given = streams(2, 7)
    nothing = torch.zeros(2, 7, dtype=torch.bool)

    def parse(cross: bool, audio: torch.Tensor | None = None, visual: torch.Tensor | None = None) -> ParserOutput:
        with torch.no_grad():
            output: ParserOutput = parser(Features(given, audio, visual), cross=cross)
        return output

    unimodal, together = parse(False), parse(True)
    heard, seen = parse(True, ~nothing, nothing), parse(True, nothing, ~nothing)
    _close(unimodal, heard, ("audio_segments", "audio"), 7)
    _close(unimodal, seen, ("visual_segments", "visual"), 7)
    assert not torch.allclose(unimodal.audio_segments, together.audio_segments, atol=1e-4)
    given["frames"] = given["frames"] + 3
    changed = parse(False)
    assert torch.equal(unimodal.audio_segments, changed.audio_segments)
    assert not torch.equal(unimodal.visual_segments, changed.visual_segments)


def check_gradients(parser: Parser) -> None:
    """Every weight learns, and no gradient is lost to an absent modality."""
    parser.train()
    silent = torch.tensor([[True] * 7, [False] * 7])
    output = parser(Features(streams(2, 7), silent, torch.ones_like(silent)))
    (output.audio.square().sum() + output.visual.square().sum() + output.video.square().sum()).backward()
    for name, parameter in parser.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.any(), name
