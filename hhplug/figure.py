"""A figure that a notebook shows. Importing this module imports matplotlib."""

from io import BytesIO

import matplotlib.figure


class Figure(matplotlib.figure.Figure):
    """A Figure that a notebook shows as the value of a cell, even if pyplot isn't imported."""

    def _repr_png_(self) -> bytes:
        png = BytesIO()
        self.savefig(png, format="png")
        return png.getvalue()
