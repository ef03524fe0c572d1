"""Statistics of labels: counts on the validation truth, calibration, and classifiers of right and wrong labels."""
