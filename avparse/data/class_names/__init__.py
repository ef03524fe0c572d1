"""Classes of one's own as sets of the names that a network with a fixed list of classes knows."""

from avparse.data.class_names.class_map import ClassMap, read_class_map
from avparse.data.class_names.listed import ListedClasses, find_classes
from avparse.data.class_names.name_list import NameList

__all__ = ["ClassMap", "ListedClasses", "NameList", "find_classes", "read_class_map"]
