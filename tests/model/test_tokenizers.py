import hashlib
import json
import random
from base64 import b64decode, b64encode
from contextlib import suppress

import pytest
import sentencepiece
from tokenizers import Tokenizer as Library
from transformers import GemmaTokenizer, XLMRobertaTokenizer

from newbie_core.errors import ModelError
from newbie_core.model.tiny_tokenizers import TRAINING_TEXT, tiny_gemma, tiny_jina
from newbie_core.model.tokenizers import (
    GEMMA_RESERVED,
    UNUSED_ROWS,
    PieceTokenizer,
    gemma_tokenizer,
    jina_tokenizer,
)

XML = "<character_1>\n<n>$character_1$</n>\n<clothing>raincoat, rubber_boots</clothing>\n</character_1>"
TEXTS = [
    "",
    " ",
    "a girl in the rain",
    "  two  spaces  ",
    "line\n\nline\tand tab\r\n",
    XML,
    TRAINING_TEXT,
    "日本語の少女、雨の夜。",
    "snow ❄️ and 😀😀 faces, é ü",
    "rem_\\(re:zero\\), >_< :3 <3 &amp; 50%",
    "<caption>She smiles.</caption>",
    "You are an assistant. <Prompt Start> 1girl",
]


DIGESTS = ["990faf52f1db1a99", "622c0208892bb326", "18773b6bac52d665", "eb45bf42aaee97f9", "a5e06c8c765e6408"]
"""The small tokenizers' files: models saved with them stay readable only while these stay."""


def gemma_rows() -> int:
    return Library.from_buffer(tiny_gemma()[0]).get_vocab_size()


def jina_rows() -> int:
    return Library.from_buffer(tiny_jina()[0]).get_vocab_size()


def both_gemmas():
    return [gemma_tokenizer(source, rows=gemma_rows()) for source in tiny_gemma()]


def all_jinas():
    sources = [*tiny_jina(), tiny_jina(numbering="xlm-roberta")[1]]
    return [jina_tokenizer(source, rows=jina_rows()) for source in sources]


def damaged_sources(content: bytes) -> list[bytes]:
    return [b"", b"{", b"{}", b"\x00\x01\x02", content[:-5], b"x" + content]


# The small tokenizers


def test_the_small_tokenizers_have_the_same_bytes_every_time():
    digests = [
        hashlib.sha256(content).hexdigest()[:16]
        for content in (*tiny_gemma(), *tiny_jina(), tiny_jina(numbering="xlm-roberta")[1])
    ]
    assert digests == DIGESTS


def test_the_small_tokenizers_number_their_special_tokens_as_the_real_ones():
    gemma, jina = Library.from_buffer(tiny_gemma()[0]), Library.from_buffer(tiny_jina()[0])
    assert [gemma.id_to_token(index) for index in range(4)] == ["<pad>", "<eos>", "<bos>", "<unk>"]
    assert [jina.id_to_token(index) for index in range(4)] == ["<s>", "<pad>", "</s>", "<unk>"]
    assert jina.id_to_token(jina.get_vocab_size() - 1) == "<mask>"


def test_the_small_sentencepiece_models_name_their_special_pieces():
    gemma = sentencepiece.SentencePieceProcessor(model_proto=tiny_gemma()[1])
    own = sentencepiece.SentencePieceProcessor(model_proto=tiny_jina(numbering="xlm-roberta")[1])
    assert (gemma.bos_id(), gemma.eos_id(), gemma.pad_id(), gemma.unk_id()) == (2, 1, 0, 3)
    assert (own.bos_id(), own.eos_id(), own.pad_id(), own.unk_id()) == (1, 2, -1, 0)


def test_an_ordinary_prompt_takes_one_small_token_for_at_least_two_characters():
    prompt = "<character_1>\n<gender>1girl</gender>\n<appearance>silver_hair, red_eyes</appearance>\n</character_1>"
    for tokenizer in (*both_gemmas(), *all_jinas()):
        assert len(tokenizer.encode(prompt).ids) < len(prompt) / 2


# Both kinds of file


@pytest.mark.parametrize("text", TEXTS)
def test_gemma_ids_are_the_same_from_either_file_and_from_transformers(text):
    from_json, from_pieces = (tokenizer.encode(text).ids for tokenizer in both_gemmas())
    state = Library.from_buffer(tiny_gemma()[0])
    pieces = sorted(state.get_vocab().items(), key=lambda item: item[1])
    mergeable = {piece for piece, index in pieces if index >= 264}
    merges = [
        (piece[:cut], piece[cut:])
        for piece, _ in pieces
        if piece in mergeable
        for cut in range(1, len(piece))
        if piece[:cut] in mergeable and piece[cut:] in mergeable
    ]
    native = GemmaTokenizer(vocab=dict(pieces), merges=merges, additional_special_tokens=["<caption>"])
    assert from_json == from_pieces
    assert list(from_json[1:]) == native(text, add_special_tokens=False).input_ids


@pytest.mark.parametrize("text", TEXTS)
def test_jina_ids_are_the_same_from_all_three_files_and_from_transformers(text):
    from_json, renumbered, own = (tokenizer.encode(text).ids for tokenizer in all_jinas())
    assert from_json == renumbered == own
    table = json.loads(tiny_jina()[0])
    native = XLMRobertaTokenizer(vocab=[(piece, score) for piece, score in table["model"]["vocab"]])
    native.backend_tokenizer.normalizer = Library.from_buffer(tiny_jina()[0]).normalizer
    assert list(from_json) == native(text).input_ids


def test_equal_ids_hold_for_random_text():
    pick = random.Random(5)
    alphabet = [*"abcdefghij_,<>/ \n", "girl", "hair", "</", "少女", "空", "😀", "é", "</n>", " the "]
    for _ in range(300):
        text = "".join(pick.choices(alphabet, k=pick.randint(1, 40)))
        assert len({tokenizer.encode(text).ids for tokenizer in both_gemmas()}) == 1, text
        assert len({tokenizer.encode(text).ids for tokenizer in all_jinas()}) == 1, text


@pytest.mark.parametrize("text", ["日本語の少女 girl", "a😀b", "é\u0301x", XML, "  x  日 "])
def test_offsets_count_characters_in_any_script(text):
    for tokenizer in (*both_gemmas(), *all_jinas()):
        encoding = tokenizer.encode(text)
        assert len(encoding.ids) == len(encoding.offsets)
        inner = encoding.offsets[1:]
        assert all(0 <= first <= last <= len(text) for first, last in inner)
        covered = {index for first, last in inner for index in range(first, last)}
        assert {index for index, char in enumerate(text) if not char.isspace()} <= covered


def test_offsets_find_a_word_behind_japanese_text():
    text = "日本語の少女 smile"
    for tokenizer in (*both_gemmas(), *all_jinas()):
        encoding = tokenizer.encode(text)
        words = [
            text[first:last].strip() for first, last in encoding.offsets if first >= text.index("smile") - 1
        ]
        assert "".join(words) == "smile"


def test_gemma_starts_with_bos_once_and_ends_with_the_text():
    for tokenizer in both_gemmas():
        assert tokenizer.encode("").ids == (2,)
        ids = tokenizer.encode("girl").ids
        assert ids[0] == 2 and ids.count(2) == 1 and 1 not in ids


def test_jina_stands_between_its_two_special_tokens():
    for tokenizer in all_jinas():
        assert tokenizer.encode("").ids == (0, 2)
        ids = tokenizer.encode("girl").ids
        assert (ids[0], ids[-1]) == (0, 2) and not {0, 1, 2} & set(ids[1:-1])


@pytest.mark.parametrize("word", GEMMA_RESERVED)
def test_a_reserved_word_in_a_prompt_is_plain_text_to_gemma(word):
    from_json, from_pieces = (tokenizer.encode(f"a {word} b") for tokenizer in both_gemmas())
    assert from_json.ids == from_pieces.ids
    assert not set(from_json.ids[1:]) & {0, 1, 2, 3, 4, 5, 6}
    assert from_json.offsets[-1][1] == len(f"a {word} b")


def test_prompt_start_is_no_special_token_and_caption_stays_a_word_of_its_own():
    for tokenizer in both_gemmas():
        assert len(tokenizer.encode("<Prompt Start>").ids) > 2
        assert len(tokenizer.encode("<caption>").ids) == 2


def test_special_words_in_a_prompt_are_plain_text_to_jina_from_a_sentencepiece_model():
    for tokenizer in all_jinas()[1:]:
        assert not {0, 1, 2} & set(tokenizer.encode("a <s> b </s> <pad>").ids[1:-1])


def test_a_file_that_asks_to_cut_and_pad_is_not_obeyed():
    library = Library.from_buffer(tiny_gemma()[0])
    library.enable_truncation(3)
    library.enable_padding(length=9)
    found = gemma_tokenizer(library.to_str().encode(), rows=gemma_rows())
    assert found.encode("a girl in the rain") == both_gemmas()[0].encode("a girl in the rain")


def test_a_tokenizer_is_read_from_a_file_as_from_its_bytes(tmp_path):
    for name, content in zip(("tokenizer.json", "tokenizer.model"), tiny_gemma(), strict=True):
        (tmp_path / name).write_bytes(content)
        assert gemma_tokenizer(tmp_path / name, rows=gemma_rows()).encode(XML) == gemma_tokenizer(
            content, rows=gemma_rows()
        ).encode(XML)


def test_the_largest_id_fits_the_embedding():
    for tokenizer in (*both_gemmas(), *all_jinas()):
        assert max(tokenizer.encode(TRAINING_TEXT).ids) < tokenizer.vocabulary
    assert both_gemmas()[0].vocabulary == both_gemmas()[1].vocabulary == gemma_rows()
    assert [tokenizer.vocabulary for tokenizer in all_jinas()] == [jina_rows(), jina_rows(), jina_rows() - 1]


# What is refused


@pytest.mark.parametrize("rows", [-1, UNUSED_ROWS + 1])
def test_a_tokenizer_with_too_many_or_far_too_few_ids_is_another_models(rows):
    for source in tiny_gemma():
        with pytest.raises(ModelError, match=r"largest id is \d+, the model's embedding has \d+ rows"):
            gemma_tokenizer(source, rows=gemma_rows() + rows)
    for source in tiny_jina():
        with pytest.raises(ModelError, match=r"largest id is \d+, the model's embedding has \d+ rows"):
            jina_tokenizer(source, rows=jina_rows() + rows)


def test_the_other_encoders_tokenizer_is_refused():
    for source in tiny_jina():
        with pytest.raises(ModelError, match=r"<bos>|expected BPE"):
            gemma_tokenizer(source, rows=jina_rows())
    for source in tiny_gemma():
        with pytest.raises(ModelError, match=r"special pieces|expected Unigram"):
            jina_tokenizer(source, rows=gemma_rows())


@pytest.mark.parametrize("kind", [0, 1])
def test_a_damaged_tokenizer_file_is_named(tmp_path, kind):
    for load, sources in ((gemma_tokenizer, tiny_gemma()), (jina_tokenizer, tiny_jina())):
        for content in damaged_sources(sources[kind]):
            path = tmp_path / "tokenizer.json"
            path.write_bytes(content)
            with pytest.raises(ModelError, match=r"tokenizer\.json: ") as caught:
                load(path, rows=gemma_rows())
            assert caught.value.code == "E_MODEL_TOKENIZER"


def with_charsmap(change) -> bytes:
    table = json.loads(tiny_jina()[0])
    charsmap = bytearray(b64decode(table["normalizer"]["precompiled_charsmap"]))
    change(charsmap)
    table["normalizer"]["precompiled_charsmap"] = b64encode(charsmap).decode()
    return json.dumps(table).encode()


def test_a_damaged_table_of_normalisations_is_refused_when_read():
    content = with_charsmap(lambda charsmap: charsmap.__delitem__(slice(2, None)))
    with pytest.raises(ModelError, match=r"damaged tokenizer\.json"):
        jina_tokenizer(content, rows=jina_rows())


def test_a_damaged_table_of_normalisations_is_refused_when_it_is_used():
    # The value of the tab's unit: where in the replacements its own begins.
    tokenizer = jina_tokenizer(
        with_charsmap(lambda charsmap: charsmap.__setitem__(4 + 4 * 128, 200)), rows=jina_rows()
    )
    assert tokenizer.encode("rain").ids == all_jinas()[0].encode("rain").ids
    with pytest.raises(ModelError, match=r"damaged tokenizer\.json"):
        tokenizer.encode("rain\train")


def test_a_vocabulary_without_its_unknown_piece_is_refused_when_it_is_needed():
    table = json.loads(tiny_jina()[0])
    table["model"]["unk_id"] = None
    tokenizer = jina_tokenizer(json.dumps(table).encode(), rows=jina_rows())
    with pytest.raises(ModelError, match="unk_id"):
        tokenizer.encode("雪")


def test_a_missing_tokenizer_file_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"nowhere\.json: cannot be read") as caught:
        gemma_tokenizer(tmp_path / "nowhere.json", rows=10)
    assert caught.value.code == "E_MODEL_READ"


def test_a_tokenizer_inside_a_weight_file_is_named_by_what_it_was_called():
    with pytest.raises(ModelError, match=r'gemma\.safetensors, "spiece_model": damaged'):
        gemma_tokenizer(b"junk", rows=10, name='gemma.safetensors, "spiece_model"')


def test_damage_of_which_the_library_says_nothing_is_named_all_the_same(monkeypatch):
    def silent(**_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("sentencepiece.SentencePieceProcessor", silent)
    with pytest.raises(ModelError, match="RuntimeError"):
        gemma_tokenizer(b"junk", rows=10)


def test_flipped_bytes_never_escape_as_another_error():
    pick = random.Random(7)
    for source in (*tiny_gemma(), *tiny_jina()):
        for _ in range(40):
            content = bytearray(source)
            content[pick.randrange(len(content))] ^= 1 << pick.randrange(8)
            for load, rows in ((gemma_tokenizer, gemma_rows()), (jina_tokenizer, jina_rows())):
                with suppress(ModelError):
                    load(bytes(content), rows=rows).encode(XML)


def test_offsets_inside_a_character_are_widened_to_it():
    class Halves:
        """A processor whose two pieces meet inside a character of three bytes."""

        def unk_id(self) -> int:
            return 0

        def encode(self, text: str, out_type: str) -> bytes:
            return bytes([18, 6, 16, 5, 32, 0, 40, 1, 18, 6, 16, 6, 32, 1, 40, 3])

    found = PieceTokenizer(processor=Halves(), vocabulary=9, unknown=0).encode("日")
    assert found.ids == (5, 6) and found.offsets == ((0, 1), (0, 1))
