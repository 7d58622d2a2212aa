from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from transformers import Gemma3TextConfig, Gemma3TextModel, JinaEmbeddingsV3Config, JinaEmbeddingsV3Model

from newbie_core.errors import ModelError, PictureError
from newbie_core.model.conditioning import (
    MAX_GEMMA_TOKENS,
    MAX_JINA_TOKENS,
    S_TEXT,
    S_XML,
    TextConditioner,
    system_prompt_for,
)
from newbie_core.model.prompt_fields import fields_behind
from newbie_core.model.text_encoders import GemmaEncoder, JinaEncoder
from newbie_core.model.tiny_tokenizers import tiny_gemma, tiny_jina
from newbie_core.model.tokenizers import gemma_tokenizer, jina_tokenizer
from newbie_core.model.weights.part import Part

ROPE = {
    "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
    "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
}
WINDOW = 8
LAYERS = 8
IDS = [2, *range(264, 294)]
XML = """<character_1>
<n>$character_1$</n>
<clothing>raincoat, rubber_boots</clothing>
</character_1>

<general_tags>
<count>1girl, solo</count>
<quality>high_resolution, detailed</quality>
</general_tags>"""


def scramble(model: nn.Module, seed: int) -> nn.Module:
    """Weights large enough that every part of the network shows in the result."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return model.eval()


def whole_gemma(layers: int = LAYERS, rope: dict = ROPE) -> nn.Module:
    """The whole text model, its last layer and final norm included, as transformers builds it."""
    config = Gemma3TextConfig(
        vocab_size=665,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=layers,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        query_pre_attn_scalar=16,
        sliding_window=WINDOW,
        rope_parameters={kind: dict(values) for kind, values in rope.items()},
        attn_implementation="sdpa",
    )
    return scramble(Gemma3TextModel(config), 1)


def whole_jina() -> nn.Module:
    config = JinaEmbeddingsV3Config(
        vocab_size=394,
        hidden_size=128,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=96,
    )
    return scramble(JinaEmbeddingsV3Model(config, add_pooling_layer=False), 2)


def make_part(name: str, state: dict[str, Tensor], **fields) -> Part:
    return Part(
        name=name,
        layout="hub",
        files=(Path(f"{name}.safetensors"),),
        shapes={key: tuple(tensor.shape) for key, tensor in state.items()},
        dtype="F32",
        read=lambda: iter(state.items()),
        **fields,
    )


def gemma_part(state: dict[str, Tensor] | None = None, config: dict | None = None) -> Part:
    given = {"sliding_window": WINDOW, "query_pre_attn_scalar": 16, **(config or {})}
    state = whole_gemma().state_dict() if state is None else state
    return make_part("text_encoder", state, config=given, tokenizer=tiny_gemma()[0])


def jina_part() -> Part:
    return make_part("clip_model", whole_jina().state_dict(), tokenizer=tiny_jina()[1])


def load_gemma(**fields) -> GemmaEncoder:
    return GemmaEncoder.load(gemma_part(**fields), device="cpu", dtype=torch.float32)


def load_jina() -> JinaEncoder:
    return JinaEncoder.load(jina_part(), device="cpu", dtype=torch.float32)


def make_conditioner(**fields) -> TextConditioner:
    return TextConditioner.from_parts(gemma_part(), jina_part(), device="cpu", dtype=torch.float32, **fields)


def long_xml(fields: int) -> str:
    lines = "\n".join(f"<other_{index}>umbrella, raincoat, street</other_{index}>" for index in range(fields))
    return f"<general_tags>\n{lines}\n</general_tags>"


# Gemma


@pytest.mark.parametrize("length", [1, WINDOW, 31])
def test_gemma_gives_the_whole_models_last_but_one_hidden_state_bit_for_bit(length):
    with torch.no_grad():
        states = whole_gemma()(torch.tensor([IDS[:length]]), output_hidden_states=True).hidden_states
    assert len(states) == LAYERS + 1
    assert torch.equal(load_gemma().encode(IDS[:length]), states[-2][0])


def test_gemma_turns_full_layers_slower_by_eight_whatever_the_configuration_says():
    plain = {**ROPE, "full_attention": {"rope_type": "default", "rope_theta": 1e6}}
    with torch.no_grad():
        wrong = whole_gemma(rope=plain)(torch.tensor([IDS]), output_hidden_states=True).hidden_states[-2][0]
    found = load_gemma().encode(IDS)
    assert not torch.allclose(found, wrong, atol=1e-3)
    told = load_gemma(config={"rope_scaling": None, "rope_parameters": plain, "rope_theta": 5.0})
    assert torch.equal(told.encode(IDS), found)


def test_gemmas_last_layer_and_norm_have_no_say():
    state = whole_gemma().state_dict()
    spoiled = {
        name: torch.full_like(tensor, torch.nan)
        if name.startswith(("norm.", f"layers.{LAYERS - 1}."))
        else tensor
        for name, tensor in state.items()
    }
    assert torch.equal(load_gemma(state=spoiled).encode(IDS), load_gemma().encode(IDS))


def test_padding_to_the_right_has_no_influence_on_gemma():
    padded = [*IDS, 0, 0, 0, 0, 0]
    mask = torch.tensor([[1] * len(IDS) + [0] * 5])
    with torch.no_grad():
        states = whole_gemma()(
            torch.tensor([padded]), attention_mask=mask, output_hidden_states=True
        ).hidden_states
    # The mask takes another kernel of torch, which rounds otherwise.
    torch.testing.assert_close(load_gemma().encode(IDS), states[-2][0, : len(IDS)], atol=1e-4, rtol=1e-5)


def test_gemma_looks_tokens_up_on_the_device_named_for_it():
    found = GemmaEncoder.load(gemma_part(), device="cpu", dtype=torch.float32, embedding_device="cpu")
    assert torch.equal(found.encode(IDS), load_gemma().encode(IDS))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("embedding_device", ["cpu", None])
def test_gemma_and_jina_give_the_same_on_a_gpu(embedding_device):
    gemma = GemmaEncoder.load(
        gemma_part(), device="cuda", dtype=torch.float32, embedding_device=embedding_device
    )
    jina = JinaEncoder.load(jina_part(), device="cuda", dtype=torch.float32)
    torch.testing.assert_close(gemma.encode(IDS).cpu(), load_gemma().encode(IDS), atol=1e-2, rtol=1e-2)
    torch.testing.assert_close(jina.encode(IDS).cpu(), load_jina().encode(IDS), atol=1e-3, rtol=1e-3)


def test_gemma_loads_in_bfloat16():
    found = GemmaEncoder.load(gemma_part(), device="cpu").encode(IDS)
    assert found.dtype is torch.bfloat16
    assert functional.cosine_similarity(found.float(), load_gemma().encode(IDS)).min() > 0.98


@pytest.mark.parametrize("name", ["layers.0.mlp.up_proj.weight", "layers.6.self_attn.k_norm.weight"])
def test_a_missing_tensor_of_gemma_is_named(name):
    state = whole_gemma().state_dict()
    del state[name]
    with pytest.raises(ModelError, match=name):
        load_gemma(state=state)


def test_an_unexpected_tensor_of_gemma_is_named():
    state = {**whole_gemma().state_dict(), "layers.0.mlp.extra.weight": torch.zeros(2)}
    with pytest.raises(ModelError, match=r"layers\.0\.mlp\.extra\.weight"):
        load_gemma(state=state)


def test_values_that_are_no_numbers_are_refused_with_advice():
    state = whole_gemma().state_dict()
    state["layers.3.mlp.up_proj.weight"] = state["layers.3.mlp.up_proj.weight"] * torch.inf
    with pytest.raises(ModelError, match="use bfloat16 or float32") as caught:
        load_gemma(state=state).encode(IDS)
    assert caught.value.code == "E_MODEL_NOT_FINITE"


def test_a_released_encoder_holds_nothing():
    for encoder in (load_gemma(), load_jina()):
        encoder.release()
        with pytest.raises(RuntimeError, match="released"):
            encoder.encode(IDS)


# Jina


def turned(heads: Tensor) -> Tensor:
    """Rotary positions by halves over all 64 numbers of a head; [heads, L, 64]."""
    _, length, width = heads.shape
    frequencies = 20_000.0 ** (-torch.arange(0, width, 2) / width)
    angles = torch.outer(torch.arange(length).float(), frequencies)
    cos, sin = angles.cos(), angles.sin()
    first, second = heads[..., : width // 2], heads[..., width // 2 :]
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


def jina_by_formula(state: dict[str, Tensor], ids: list[int]) -> Tensor:
    def linear(x: Tensor, name: str) -> Tensor:
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    def norm(x: Tensor, name: str) -> Tensor:
        spread = (x - x.mean(-1, keepdim=True)) / (x.var(-1, correction=0, keepdim=True) + 1e-5).sqrt()
        return spread * state[f"{name}.weight"] + state[f"{name}.bias"]

    def heads(x: Tensor) -> Tensor:
        return x.unflatten(-1, (-1, 64)).transpose(0, 1)

    x = state["embeddings.word_embeddings.weight"][ids] + state["embeddings.token_type_embeddings.weight"][0]
    x = norm(x, "embeddings.LayerNorm")
    for index in range(3):
        block = f"layers.{index}"
        query, key, value = (heads(linear(x, f"{block}.self_attn.{part}_proj")) for part in "qkv")
        weights = (turned(query) @ turned(key).transpose(1, 2) / 8).softmax(-1)
        joined = (weights @ value).transpose(0, 1).flatten(1)
        x = norm(x + linear(joined, f"{block}.self_attn.o_proj"), f"{block}.post_attention_layernorm")
        inner = linear(x, f"{block}.mlp.fc1")
        inner = inner * 0.5 * (1 + torch.erf(inner / 2**0.5))
        x = norm(x + linear(inner, f"{block}.mlp.fc2"), f"{block}.post_mlp_layernorm")
    return x.mean(0)


@pytest.mark.parametrize("ids", [[0, 2], [0, *range(4, 60), 2]])
def test_jina_pools_what_the_formulas_give(ids):
    expected = jina_by_formula(whole_jina().state_dict(), ids)
    found = load_jina().encode(ids)
    assert found.shape == (128,)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_jina_is_not_normalised_and_drops_nothing_out():
    encoder = load_jina()
    assert torch.equal(encoder.encode(IDS), encoder.encode(IDS))
    assert abs(float(encoder.encode(IDS).norm()) - 1) > 0.1


def test_what_is_encoded_is_an_ordinary_tensor():
    for encoder in (load_gemma(), load_jina()):
        found = encoder.encode(IDS)
        assert not found.is_inference() and not found.requires_grad


def test_jina_averages_in_float32():
    found = JinaEncoder.load(jina_part(), device="cpu").encode([0, *range(4, 200), 2])
    assert found.dtype is torch.bfloat16
    expected = load_jina().encode([0, *range(4, 200), 2])
    assert functional.cosine_similarity(found.float(), expected, dim=0) > 0.999


# System prompts


def test_the_system_prompts_are_those_of_the_training_script_letter_for_letter():
    assert S_XML == (
        "You are an assistant designed to generate high-quality anime images based on xml format prompts. <Prompt Start> "
    )
    assert S_TEXT == (
        "You are an assistant designed to generate high-quality anime images with the highest degree "
        "of image-text alignment based on textual prompts. <Prompt Start> "
    )


@pytest.mark.parametrize(
    ("prompt", "system"),
    [
        (XML, S_XML),
        ("\n  <general_tags>\n</general_tags>", S_XML),
        ('<caption lang="en">rain</caption>', S_XML),
        ("<n/>", S_XML),
        ("1girl, raincoat", S_TEXT),
        ("1girl <caption>late</caption>", S_TEXT),
        ("<3 hearts", S_TEXT),
        (">_<", S_TEXT),
        ("< spaced >", S_TEXT),
        ("", ""),
        (" \n", ""),
    ],
)
def test_xml_text_and_nothing_get_their_own_system_prompt(prompt, system):
    assert system_prompt_for(prompt) == system


# The conditioner


def test_gemma_reads_the_system_prompt_and_the_prompt_and_jina_the_prompt_alone():
    conditioner = make_conditioner()
    gemma = gemma_tokenizer(tiny_gemma()[0], rows=665)
    jina = jina_tokenizer(tiny_jina()[1], rows=394)
    found = conditioner.encode(XML)
    assert torch.equal(found.features, load_gemma().encode(gemma.encode(S_XML + XML).ids))
    assert torch.equal(found.pooled, load_jina().encode(jina.encode(XML).ids))
    assert found.features.shape == (found.tokens.gemma, 32)
    other = conditioner.encode(XML, system="Draw this: ")
    assert torch.equal(other.features, load_gemma().encode(gemma.encode("Draw this: " + XML).ids))
    assert torch.equal(other.pooled, found.pooled)


def test_the_empty_prompt_is_bos_for_gemma_and_its_two_ends_for_jina():
    found = make_conditioner().encode("")
    assert torch.equal(found.features, load_gemma().encode([2]))
    assert torch.equal(found.pooled, load_jina().encode([0, 2]))
    assert (found.tokens.gemma, found.tokens.jina, found.tokens.fits) == (1, 2, True)


def test_a_prompt_gives_the_same_alone_and_among_neighbours():
    alone = make_conditioner().encode(XML)
    conditioner = make_conditioner()
    for neighbour in ("", "1girl", long_xml(10)):
        conditioner.encode(neighbour)
    among = conditioner.encode(XML)
    assert torch.equal(alone.features, among.features) and torch.equal(alone.pooled, among.pooled)


def test_tokens_are_counted_before_anything_is_loaded():
    conditioner = make_conditioner()
    count = conditioner.tokens(XML)
    without = conditioner.tokens(XML, system="")
    assert count.fits and count.cut == ()
    assert count.gemma - without.gemma == pytest.approx(count.system, abs=1)
    assert without.system == 1
    assert conditioner._gemma is None and conditioner.encodings_run == 0


def longest_fitting(conditioner: TextConditioner) -> str:
    """A prompt of words that comes to exactly Gemma's limit."""
    prompt = "rain"
    while conditioner.tokens(prompt + " rain").fits:
        prompt += " rain"
    while conditioner.tokens(prompt + "#").fits:
        prompt += "#"
    assert conditioner.tokens(prompt).gemma == MAX_GEMMA_TOKENS
    return prompt


def test_gemmas_limit_counts_bos_and_the_system_prompt():
    conditioner = make_conditioner()
    prompt = longest_fitting(conditioner)
    assert conditioner.encode(prompt).features.shape[0] == MAX_GEMMA_TOKENS
    with pytest.raises(PictureError) as caught:
        conditioner.encode(prompt + "#")
    assert caught.value.code == "E_PROMPT_TOKENS"
    assert f"{MAX_GEMMA_TOKENS + 1} tokens for Gemma" in str(caught.value)


def test_a_prompt_that_is_too_long_is_refused_with_the_fields_that_would_fall_off():
    conditioner = make_conditioner()
    prompt = XML.replace("</general_tags>", long_xml(60).removeprefix("<general_tags>\n"))
    count = conditioner.tokens(prompt)
    assert not count.fits
    assert count.cut[-1] == "general_tags/other_59"
    assert "general_tags/quality" not in count.cut and "general_tags" not in count.cut
    with pytest.raises(
        PictureError, match=r"the limit is 512; .*general_tags/other_\d+.* and \d+ more"
    ) as caught:
        conditioner.encode(prompt)
    assert "shorten it, or allow cutting" in str(caught.value)
    assert conditioner.encodings_run == 0


def test_a_field_that_is_cut_in_its_middle_is_named():
    conditioner = make_conditioner()
    gemma = gemma_tokenizer(tiny_gemma()[0], rows=665)
    prompt = long_xml(60)
    place = gemma.encode(S_XML + prompt).offsets[MAX_GEMMA_TOKENS][0] - len(S_XML)
    first = conditioner.tokens(prompt).cut[0].removeprefix("general_tags/")
    assert prompt.index(f"<{first}>") < place < prompt.index(f"</{first}>") + len(f"</{first}>")


def test_cutting_keeps_the_start_when_it_is_allowed():
    conditioner = make_conditioner()
    prompt = long_xml(60)
    found = conditioner.encode(prompt, allow_cut=True)
    ids = gemma_tokenizer(tiny_gemma()[0], rows=665).encode(S_XML + prompt).ids
    assert torch.equal(found.features, load_gemma().encode(ids[:MAX_GEMMA_TOKENS]))
    assert found.tokens.gemma == len(ids) and found.tokens.cut
    with pytest.raises(PictureError):
        conditioner.encode(prompt)


def test_jinas_limit_keeps_its_end_token():
    prompt = "#" * (MAX_JINA_TOKENS + 50)
    conditioner = make_conditioner()
    assert conditioner.tokens(prompt).jina > MAX_JINA_TOKENS
    ids = jina_tokenizer(tiny_jina()[1], rows=394).encode(prompt).ids
    found = conditioner.encode(prompt, allow_cut=True)
    assert torch.equal(found.pooled, load_jina().encode([*ids[: MAX_JINA_TOKENS - 1], 2]))
    with pytest.raises(PictureError, match=rf"{len(ids)} tokens for Jina, the limit is {MAX_JINA_TOKENS}"):
        conditioner.encode(prompt)


def test_plain_text_loses_words():
    count = make_conditioner().tokens(" ".join(f"word{index}" for index in range(400)))
    assert count.cut[-1] == "word399" and "word0" not in count.cut


def test_a_repeated_text_is_not_encoded_again():
    conditioner = make_conditioner()
    first = conditioner.encode(XML)
    assert conditioner.encode(XML) is first
    assert conditioner.encode(XML, system=S_XML) is first
    assert conditioner.encodings_run == 1
    conditioner.encode(XML, system="")
    assert conditioner.encodings_run == 2
    conditioner.clear()
    assert conditioner.encode(XML) is not first
    assert conditioner.encodings_run == 3


def test_the_cache_forgets_what_was_used_longest_ago():
    one = make_conditioner().encode("#1").size
    conditioner = make_conditioner(cache_bytes=2 * one)
    for prompt in ("#1", "#2", "#1", "#3", "#1", "#3"):
        assert conditioner.encode(prompt).size == one
    assert conditioner.encodings_run == 3
    conditioner.encode("#2")
    assert conditioner.encodings_run == 4


def test_what_is_larger_than_the_cache_is_not_kept():
    conditioner = make_conditioner(cache_bytes=100)
    assert conditioner.encode("rain") is not conditioner.encode("rain")


def test_released_encoders_leave_what_was_encoded_and_come_back_for_a_new_text():
    conditioner = make_conditioner()
    kept = conditioner.encode(XML)
    conditioner.release()
    assert conditioner.encode(XML) is kept
    assert conditioner._gemma is None
    assert torch.equal(conditioner.encode("rain").features, make_conditioner().encode("rain").features)


def test_a_part_without_a_tokenizer_says_what_to_put_where():
    part = make_part("clip_model", whole_jina().state_dict())
    with pytest.raises(
        ModelError, match=r"clip_model\.safetensors: no tokenizer .* Jina CLIP v2's tokenizer\.json"
    ):
        TextConditioner.from_parts(gemma_part(), part, device="cpu")


def test_half_a_character_is_refused():
    with pytest.raises(PictureError, match="half of a character") as caught:
        make_conditioner().encode("rain \ud83d")
    assert caught.value.code == "E_PROMPT_TEXT"


# Fields of a prompt


@pytest.mark.parametrize(
    ("prompt", "mark", "names"),
    [
        (
            XML,
            "$character_1$",
            ["character_1/n", "character_1/clothing", "general_tags/count", "general_tags/quality"],
        ),
        (XML, "solo", ["general_tags/count", "general_tags/quality"]),
        (XML, "</quality>", ["general_tags/quality"]),
        (XML, "</general_tags>", ["general_tags"]),
        ("<a><b>x</b>\nunder a bridge", "x", ["a/b"]),
        ("<a>x</a> under <b>y</b> a bridge", "der", ["under", "b", "a", "bridge"]),
        ("<a><b>x<c>y</a><d/>", "y", ["a/b/c", "d"]),
        ("<a>o_o <3 >_< z</a></b>", "z", ["a"]),
        ("red hat, <3 blue", "hat", ["hat,", "<3", "blue"]),
    ],
)
def test_fields_behind_a_place_are_named_by_their_path(prompt, mark, names):
    assert list(fields_behind(prompt, prompt.index(mark))) == names


def test_nothing_lies_behind_the_end():
    assert fields_behind(XML, len(XML)) == ()


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(["<a>", "</a>", "<b x='1'>", "</b>", "<c/>", "word", " ", "<", ">"]), max_size=20
    )
)
def test_any_text_has_fields(parts):
    prompt = "".join(parts)
    names = fields_behind(prompt, 0)
    assert bool(names) == bool(prompt.strip())
