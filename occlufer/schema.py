"""The words of the data: classes, occlusion types, face regions, face parts, landmarks."""

from __future__ import annotations

# Order of Table 1 of the paper; the position is the class id everywhere.
LABELS = (
    "anger",
    "disgust",
    "fear",
    "happiness",
    "neutral",
    "sadness",
    "surprise",
    "contempt",
)
LABEL_CODES = ("AN", "DI", "FE", "HA", "NE", "SA", "SU", "CO")

# Table 1 of the paper: samples per class, in the order of LABELS.
TABLE_1 = {
    "train": (669, 533, 927, 1130, 1114, 960, 1125, 380),
    "validation": (86, 69, 136, 133, 144, 127, 148, 37),
}
SPLITS = ("train", "validation")
TABLE_1_QUOTAS = {split: dict(zip(LABELS, TABLE_1[split], strict=True)) for split in SPLITS}

OCCLUSION_TYPES = ("mask", "hand", "eyewear", "hair", "object", "extraneous_face")

# Amodal regions: where the region would be if nothing covered it. An eye region holds its brow.
REGIONS = (
    "face",
    "left_eye",
    "right_eye",
    "nose",
    "mouth",
    "left_cheek",
    "right_cheek",
    "forehead",
)

# LaPa's eleven classes in LaPa's order, then ours. Here, in REGIONS and in the 68 landmarks "left"
# is the left of the picture (iBUG points 17-21 are the left brow), not the person's own left.
FACE_PARTS = (
    "background",
    "skin",
    "left_brow",
    "right_brow",
    "left_eye",
    "right_eye",
    "nose",
    "upper_lip",
    "inner_mouth",
    "lower_lip",
    "hair",
    "occluder",
)

# The 68 points of the iBUG scheme by part, as slices into a (68, 2) array.
LANDMARK_PARTS = {
    "jaw": slice(0, 17),
    "left_brow": slice(17, 22),
    "right_brow": slice(22, 27),
    "nose": slice(27, 36),
    "left_eye": slice(36, 42),
    "right_eye": slice(42, 48),
    "outer_lips": slice(48, 60),
    "inner_lips": slice(60, 68),
}
# Index of each point's partner in a mirrored face.
LANDMARK_MIRROR = (
    *range(16, -1, -1),
    *range(26, 16, -1),
    *range(27, 31),
    *range(35, 30, -1),
    *(45, 44, 43, 42, 47, 46),
    *(39, 38, 37, 36, 41, 40),
    *range(54, 47, -1),
    *range(59, 54, -1),
    *range(64, 59, -1),
    *range(67, 64, -1),
)

# What raters say of a picture that is no expression, and what becomes of it where most say so.
NO_CLASS = {
    "unknown": "unlabelled",  # FERPlus: the rater could not tell
    "none": "unlabelled",  # AffectNet 8: none of the eight
    "uncertain": "unlabelled",  # AffectNet 9
    "not_a_face": "rejected",  # AffectNet 10, FERPlus NF
}

# What a person who labels may answer: an expression, or why there is none.
ANSWERS = (*LABELS, "uncertain", "not_a_face")

# What may be done with a sample's pixels: passed on with the dataset; kept to the one who holds
# the source, others rebuild them from their own copy; not used at all.
RIGHTS = ("publishable", "index_only", "blocked")

# Spellings seen in public sets and in people's folders. Numbers are not here on purpose: each set
# counts in an order of its own, so a number needs an explicit `label_map`.
LABEL_SYNONYMS = {
    **{name: name for name in LABELS},
    **{code.lower(): name for code, name in zip(LABEL_CODES, LABELS, strict=True)},
    "angry": "anger",
    "disgusted": "disgust",
    "fearful": "fear",
    "afraid": "fear",
    "happy": "happiness",
    "sad": "sadness",
    "surprised": "surprise",
    "contemptuous": "contempt",
}
