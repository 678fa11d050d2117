"""What options may be, as help has it, is what there is."""

from jaxstyle import choices
from jaxstyle.benchmark.measured_models import MODELS
from jaxstyle.commands.run_export import HOW_TO_RUN
from jaxstyle.convert.layouts import LAYOUTS
from jaxstyle.models import DTYPES


def test_choices_are_those_of_the_tables():
    assert tuple(DTYPES) == choices.DTYPES
    assert tuple(LAYOUTS) == choices.PUBLISHED_KINDS
    assert tuple(MODELS) == choices.MEASURED_MODELS
    assert sorted(choices.EXPORT_FORMATS) == sorted(HOW_TO_RUN)
