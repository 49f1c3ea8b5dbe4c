from .callbacks import Callback as Callback
from .callbacks import TqdmCallback as TqdmCallback
from .fitting.fit import Fit as Fit
from .fitting.fit import fit_image as fit_image
from .images.limits import ImageError as ImageError
from .images.survey import survey as survey
from .mining import mine as mine
from .planning.settings import Settings as Settings
from .planning.settings import StoreSettings as StoreSettings
from .prior.build import build_dictionary as build_dictionary
from .prior.dictionary import Dictionary as Dictionary
from .prior.dictionary import DictionaryError as DictionaryError
from .report.errors import ReportError as ReportError
from .report.report import write_report as write_report
from .retry import RunError as RunError
from .store.integrity import StoreError as StoreError
from .store.merge import merge as merge
from .store.store import Store as Store
from .store.summary import summarise as summarise
from .store.verify import verify as verify

__version__: str
