"""How much sound before a segment the speech detector needs: its share of speech by seconds of lead, on one clip.

Run: ``python -m benchmarks.speech_lead CLIP`` with the weights of ``avparse weights fetch silero-vad``.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

from avparse.foundation.arrays import Float32Array
from avparse.media.decoding.chunks import read_chunks
from avparse.media.decoding.views import SoundView
from avparse.media.networks.silero_vad import FRAME, SAMPLE_RATE, SileroVad, load_silero_vad
from avparse.media.weights import find_weights

LEADS_S = (0, 1, 2, 3, 5, 9)


def shares(network: SileroVad, sounds: Float32Array, lead_s: int) -> Float32Array:
    """Return the mean probability of speech ``[N]`` in the last second of each of some sounds ``[N, samples]``."""
    with torch.inference_mode():
        probabilities = network(torch.from_numpy(sounds)).sigmoid().numpy()
    starts_s = np.arange(probabilities.shape[1]) * FRAME / SAMPLE_RATE
    mean: Float32Array = probabilities[:, starts_s >= lead_s].mean(axis=1)
    return mean


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", help="a file with sound")
    clip = parser.parse_args().clip
    view, network = SoundView(SAMPLE_RATE), load_silero_vad(find_weights("silero-vad"))
    sound = np.concatenate([chunk.sounds[view].reshape(-1) for chunk in read_chunks(clip, [view])])
    seconds = len(sound) // SAMPLE_RATE
    with torch.inference_mode():
        passing = network(torch.from_numpy(sound[None])).sigmoid()[0].numpy()
    at = (np.arange(len(passing)) * FRAME / SAMPLE_RATE).astype(int)
    print("| lead (s) |" + "".join(f" {i} |" for i in range(seconds)) + "\n|---|" + "--:|" * seconds)
    for lead_s in LEADS_S:
        padded = np.concatenate([np.zeros(lead_s * SAMPLE_RATE, np.float32), sound])
        heard = np.stack([padded[i * SAMPLE_RATE : (i + lead_s + 1) * SAMPLE_RATE] for i in range(seconds)])
        print(f"| {lead_s} |" + "".join(f" {share:.2f} |" for share in shares(network, heard, lead_s)))
    print("| in passing |" + "".join(f" {passing[at == i].mean():.2f} |" for i in range(seconds)))


if __name__ == "__main__":
    main()
