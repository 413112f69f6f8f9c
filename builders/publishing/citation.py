"""CITATION.cff: how to cite a published dataset."""

from __future__ import annotations

import json

from occlufer.lock import Lock
from occlufer.terminal import plain

TITLE = "Occlu-FER, facial expressions under occlusion"
PAPER = "Rethinking Occlusion in FER: A Semantic-Aware Perspective and Go Beyond"
PAPER_ADDRESS = "https://arxiv.org/abs/2507.15401"
# Who publishes a dataset stands in no lock: the Hub's page names its owner.
TEXT = """cff-version: 1.2.0
type: dataset
title: {title}
message: Please cite this dataset with its version, the paper, and the sources in ATTRIBUTION.md.
version: {version}
authors:
  - name: {makers}
keywords:
  - facial expression recognition
  - occlusion
references:
  - type: conference-paper
    title: {paper}
    authors:
      - name: The authors of arXiv 2507.15401
    collection-title: Proceedings of ACM Multimedia
    year: 2025
    url: {address}
"""


def citation_text(lock: Lock) -> str:
    """Return the file, in Citation File Format 1.2."""
    return TEXT.format(
        title=_quoted(TITLE),
        version=_quoted(lock.version),
        makers=_quoted(f"The makers of {lock.name}, with occlufer {lock.made_with['occlufer']}"),
        paper=_quoted(PAPER),
        address=_quoted(PAPER_ADDRESS),
    )


def _quoted(text: str) -> str:
    """Return a YAML string: JSON in which what YAML refuses, or nobody sees, is written out."""
    return plain(json.dumps(text, ensure_ascii=False))
