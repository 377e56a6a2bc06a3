from .decays import CorpusStatistics as CorpusStatistics
from .decays import analyse_corpus as analyse_corpus
from .pairs import PairCounts as PairCounts
from .pairs import count_pairs as count_pairs
from .pairs import jackknife as jackknife
from .pairs import last_token_pairs as last_token_pairs
from .text import read_tokens as read_tokens
