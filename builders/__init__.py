"""What turns folders and photographs into a published dataset."""
