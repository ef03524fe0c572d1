"""Timelines in notebooks: a picture in the page, a table of pandas, a plot of Matplotlib."""
