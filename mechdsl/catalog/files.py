"""M08x: the data files beside a market."""

from __future__ import annotations

from mechdsl.catalog.explanation import Explanation

__all__ = ["FILES"]

FILES = (
    Explanation(
        "M080",
        "a data file that is not there",
        "The folder of the market holds no file of this name; or the market was given as a string and stands in no "
        "folder at all. Paths are relative to the folder of the .mech file, not to where the command is run.",
        "Correct the name (capitals count), or put the file beside the market.",
        bad='param price[k] = csv("pricse.csv")',
        good='param price[k] = csv("prices.csv")',
    ),
    Explanation(
        "M081",
        "a data file outside the folder of the market",
        "A market may read files in its own folder and in folders below it, so that a file from a stranger cannot "
        "fetch anything else. Where a symbolic link leads is what counts, not where it stands.",
        "Copy the file into the folder of the market.",
        bad='param price[k] = csv("../prices.csv")',
        good='param price[k] = csv("prices.csv")',
    ),
    Explanation(
        "M082",
        "a data file that does not fit",
        "The file was found, and what it holds is not the table that is wanted. A csv file is laid out in one of two "
        "ways. By labels: the first column holds those of the first index, and with two indices the header holds those "
        "of the second. Or in long form, with a column for each index, named as the index set is, and one of values; "
        "among several value columns `column = ...` chooses. Every entry is there once, as a plain number with a full "
        "stop for its decimals. The text is UTF-8.",
        "Correct the file in the line that the message names, or say which column is meant.",
        bad='param transfer[i, k] = csv("prices.csv")',
        good='param price[k] = csv("prices.csv")',
    ),
    Explanation(
        "M083",
        "a data file that is too large",
        "Data files are read whole, and one beyond 50 MB is refused before it is. Reading stops where there are twice "
        "as many rows as entries to fill, or more than 500,000 observations of an empirical distribution.",
        "Leave out the columns and rows that the market does not use, or aggregate.",
    ),
)
