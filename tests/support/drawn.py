"""What stands in a picture: its panels, its caption, its words."""

from matplotlib.axes import Axes


def panels_of(ax):
    """Return the panels of a picture; its caption is an axis among its insets too."""
    return [child for child in ax.child_axes if isinstance(child, Axes)]


def caption_of(ax):
    """Return the caption of a picture in one line, empty where it has none."""
    captions = [child for child in ax.child_axes if not isinstance(child, Axes)]
    return " ".join(caption.get_xlabel() for caption in captions).replace("\n", " ")
