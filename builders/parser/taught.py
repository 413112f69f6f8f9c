"""What a picture to learn from may say of a place, beside the parser's own classes."""

from occlufer.face_parser import PARSED_CLASSES

# No mesh tells hair from what lies behind it: there the parser may say either.
HAIR_OR_BACKGROUND = len(PARSED_CLASSES)
# Nor does it see a fringe: that teaches nothing.
UNKNOWN = HAIR_OR_BACKGROUND + 1
