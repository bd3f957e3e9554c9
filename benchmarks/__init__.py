"""Speed suite: ratios measured in one run, with the hardware they were measured on."""
