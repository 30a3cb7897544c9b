from smoothclap_trainer.model_card.markdown import bullets, paragraph, sections


def test_lines_have_up_to_120_characters_and_words_stay_whole():
    lines = paragraph("half-open " * 30 + "x" * 200).splitlines()
    assert max(map(len, lines[:-1])) <= 120 and lines[-1] == "x" * 200
    assert all(line.replace("half-open", "").strip() == "" for line in lines[:-1])


def test_items_hang():
    first, second = bullets(["word " * 30]).splitlines()
    assert first.startswith("- word") and second.startswith("  word")


def test_sections_of_which_nothing_is_known_are_left_out():
    assert sections([("One", ["a\n", "", None, "b"]), ("Two", ["", None]), ("Three", ["c"])]) == (
        "## One\n\na\n\nb\n\n## Three\n\nc"
    )
