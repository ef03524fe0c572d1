"""Some examples of each class as teachers: their folders, heads on their frozen features, and what is odd."""

from avparse.data.examples.check import ExamplesReport, check_examples
from avparse.data.examples.folder import NONE, ExampleFolder, read_examples
from avparse.data.examples.head import ExampleHead, fit_head
from avparse.data.examples.rows import ExampleRows, extract_examples, first_streams

__all__ = [
    "NONE",
    "ExampleFolder",
    "ExampleHead",
    "ExampleRows",
    "ExamplesReport",
    "check_examples",
    "extract_examples",
    "first_streams",
    "fit_head",
    "read_examples",
]
