import pytest

from config.yaml_text import MapNode, ScalarNode, YamlError, read_scalar, read_yaml


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: !!python/object:os.system x", 2, r"tags \(!name\) are not allowed"),
        ("a: !!str x", 1, r"tags \(!name\) are not allowed"),
        ("a: &x [1]\nb: *y", 2, r"alias \*y names no finished anchor"),
        ("&a [*a]", 1, r"alias \*a names no finished anchor"),
        ("\n" + "[" * 100_000, 2, "nested deeper than 20 levels"),
        ("- " * 100_000, 1, "nested deeper than 20 levels"),
        ("- a\n" * 20_001, 20_000, "more than 20000 values, aliases expanded"),
        ('\n"\\UFFFFFFFF"', 1, "an escape sequence or directive is out of range"),
        ("%YAML 1." + "9" * 5000 + "\n---\na", 1, "an escape sequence or directive"),
        ("a\n---\nb", 2, "a second document"),
        ("a: b: c", 1, "not YAML: mapping values are not allowed here"),
        ("? [a]\n: b", 1, "a key must be a single text"),
        ("a: \x00", 1, "not YAML: unacceptable character"),
        ("a:\n\t- b", 2, "not YAML: found character"),
        ("a: 'open", 1, "not YAML: found unexpected end of stream"),
    ],
)
def test_what_is_not_plain_yaml_is_refused_with_its_line(
    text: str, line: int, message: str
) -> None:
    with pytest.raises(YamlError, match=message) as caught:
        read_yaml(text)
    assert caught.value.line == line


def test_an_alias_bomb_is_refused_instead_of_expanded() -> None:
    levels = [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 9)]
    with pytest.raises(YamlError, match="more than 20000 values, aliases expanded") as caught:
        read_yaml("\n".join(["a0: &a0 [x]", *levels]))
    assert caught.value.line == 6


def test_an_alias_is_the_value_it_names() -> None:
    tree = read_yaml("a: &x [1]\nb: *x")
    assert isinstance(tree, MapNode)
    assert tree.entries[0].value == tree.entries[1].value


def test_keys_stay_text_and_know_their_lines() -> None:
    tree = read_yaml("no: x\n1: y\n'null': z\n")
    assert isinstance(tree, MapNode)
    assert [(entry.key, entry.line) for entry in tree.entries] == [("no", 1), ("1", 2), ("null", 3)]


def test_scalars_stay_text() -> None:
    assert read_yaml("2020-01-01") == ScalarNode(1, "2020-01-01", plain=True)
    assert read_yaml("'1'") == ScalarNode(1, "1", plain=False)


def test_an_empty_text_has_no_document() -> None:
    assert read_yaml("# nothing") is None


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("nULL", "nULL"),
        ("true", True),
        ("FALSE", False),
        ("yes", "yes"),
        ("off", "off"),
        ("12", 12),
        ("-12", -12),
        ("+12", 12),
        ("012", 12),
        ("0x1F", 31),
        ("0o17", 15),
        ("0b1", "0b1"),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("9" * 31, "9" * 31),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1.", 1.0),
        ("1e3", 1000.0),
        ("-1.5E-3", -0.0015),
        (".", "."),
        ("e3", "e3"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("\u0661", "\u0661"),
    ],
)
def test_an_unquoted_text_means_what_the_core_rules_say(text: str, meaning: object) -> None:
    result = read_scalar(text)
    assert result == meaning
    assert type(result) is type(meaning)
