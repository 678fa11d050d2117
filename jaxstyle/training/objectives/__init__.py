"""What a step minimises: the networks' results on a batch, and the terms that judge them."""
