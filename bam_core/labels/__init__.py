"""What labels are: classes, several of them a row, or real numbers; knows neither data nor probes."""
