"""What is to be seen of a face: regions, landmarks, covers, and pictures of them."""
