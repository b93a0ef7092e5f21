"""A figure that a notebook shows; importing this loads matplotlib."""

from io import BytesIO

import matplotlib.figure


class Figure(matplotlib.figure.Figure):
    """A Figure that is a picture as the last line of a cell before pyplot is set up, too."""

    def _repr_png_(self) -> bytes:
        png = BytesIO()
        self.savefig(png, format="png")
        return png.getvalue()
