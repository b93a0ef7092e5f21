"""The first rows of an array that a device keeps, for a run that was interrupted."""

from typing import Any

from numpy.typing import NDArray


class FirstRows:
    """The first rows of an array on a device that may not support slices."""

    def __init__(self, array: Any, rows: int):
        self._array = array
        self.shape, self.dtype = (rows, *array.shape[1:]), array.dtype

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return self._array.__cuda_array_interface__ | {"shape": self.shape}

    def get(self) -> NDArray[Any]:
        """A copy as a NumPy array."""
        return self._array.get()[: self.shape[0]]


def first_rows(array: Any, rows: int) -> Any:
    """The first rows of a device array, without a copy."""
    return array[:rows] if hasattr(array, "cpu") else FirstRows(array, rows)  # a PyTorch tensor
