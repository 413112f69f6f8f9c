"""One module per public set: what its folder looks like and what its labels mean."""
