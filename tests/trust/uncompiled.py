"""How tests run when numba compiles nothing (``NUMBA_DISABLE_JIT=1``), so that kernels are seen from inside."""

_LARGE = {
    "test_entropy": (
        "distinct_beliefs_stay_apart", "estimates_reach_what_cannot_be_held", "many_symbols_are_refused_at_once",
        "plateaus_of_a_deep_tree", "too_many_beliefs_are_refused",
    ),
    "test_inference": (
        "a_large_tree_with_half_its_tokens_hidden", "balanced_evidence_gives_the_prior_back",
        "draws_follow_the_joint_posterior", "filter_and_sum_product_agree_at_real_sizes",
        "floats_and_logarithms_agree", "more_tuples_than_could_be_listed", "products_of_many_small_factors",
        "the_filter_does_not_depend_on_blocks_and_threads", "threads_and_blocks_change_nothing",
    ),
    "test_pairs": (
        "against_the_exact_covariance_of_a_grammar", "effective_range", "operator_norm_of_noise",
        "threads_batches_and_types_do_not_matter", "tuple_and_token",
    ),
    "test_properties": ("whole_sentences_come_as_often_as_they_should",),
    "test_sampling": (
        "earlier_samples_stay_when_more_are_drawn", "frequencies_at_real_sizes",
        "rules_of_probability_zero_are_never_taken", "stages_of_any_size_draw_sentences_by_their_law",
        "the_probability_of_every_sentence",
        "the_same_bytes_on_any_number_of_threads", "this_comparison_can_fail",
    ),
}  # fmt: skip
LARGE = [f"tests/{module}.py::test_{name}" for module, names in _LARGE.items() for name in names]
"""Tests whose many samples or large trees take too long without compilation."""
# numbers of numpy say where they overflow what kernels let overflow; hashes are meant to
OPTIONS = [
    *(option for name in LARGE for option in ("--deselect", name)),
    *("-W", "ignore:overflow encountered in scalar:RuntimeWarning"),
]
"""What pytest is told then."""
