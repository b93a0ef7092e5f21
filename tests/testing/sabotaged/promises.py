"""Faults that make the core break its promises to users."""

import numpy as np

from sabotaged.faultless import Faultless


class NaNThatIsHidden(Faultless):
    def state(self, session):
        return np.nan_to_num(session.current_state)
