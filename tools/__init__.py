"""Tools of those who ship styles: they work in a checkout and are not installed."""
