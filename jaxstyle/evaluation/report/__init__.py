"""The report: what report.json holds, as one page and as separate pictures.

document (report.json), strips of pictures
    -> columns (what a table shows) -> tables
    -> plots, pictures
    -> page (report.html), png_files
"""

from jaxstyle.evaluation.report.page import report_html
from jaxstyle.evaluation.report.pictures import Strip
from jaxstyle.evaluation.report.png_files import pngs

__all__ = ["Strip", "pngs", "report_html"]
