"""From votes to what is true: agreement, raters' confusions, and how sure a label is."""
