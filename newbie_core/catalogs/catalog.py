"""Open an image set: its settings, the tables it combines, and its template.

A catalog is a folder (one workbook or a folder of CSV files, beside `catalog.toml` and its own
templates), or a bare `.xlsx` or `.csv` file, which works with default settings.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from newbie_core.catalogs.settings import SETTINGS_FILE, Settings, load_settings
from newbie_core.errors import CatalogError, Fault, SheetError
from newbie_core.prompts.document import CHARACTER_FIELDS
from newbie_core.prompts.templates import DEFAULT_TEMPLATE, Template, load_template, stock_folder
from newbie_core.sheets import (
    CORE_COLUMNS,
    ColumnSpec,
    Limits,
    Row,
    Sheet,
    SnapshotCache,
    Table,
    Workbook,
    read_table,
    read_workbook,
)
from newbie_core.sheets.columns import base_name
from newbie_core.spelling import nearest

TABLE_ALIASES: Mapping[str, tuple[str, ...]] = {
    "characters": ("character", "cast", "角色", "人物", "キャラ", "キャラクター"),
    "expressions": ("expression", "表情", "表情差分"),
    "outfits": ("outfit", "clothing", "clothes", "服装", "服裝", "衣装", "コスチューム"),
    "backgrounds": ("background", "背景", "场景", "場景"),
    "styles": ("style", "风格", "風格", "画风", "スタイル"),
    "sizes": ("size", "尺寸", "サイズ"),
}
"""Sheets that are crossed without being asked for, by their names, when there is a sheet of characters."""

NUMBERED_COLUMNS = frozenset({*CHARACTER_FIELDS, "name", "character"} - {"n"})
"""Columns that take a number for several characters in one row: `expression_2`."""

_NAMES_SHOWN = 10
_NEVER_DEFAULTS = frozenset(
    "id base enabled count seed width height size steps guidance negative decision decision_note".split()
)
"""Columns that stand in no prompt."""
_BOOK_SUFFIXES = (".xlsx", ".xlsm")
_TEXT_SUFFIXES = (".csv", ".tsv")


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """One image set as it stands on disk now. `faults` are those found so far; rows they reject are left out.

    `files` are the digests of the files that were read, `authors` who saved each of them last.
    """

    name: str
    path: Path
    settings: Settings
    groups: tuple[tuple[str, ...], ...]
    lookups: Mapping[str, str]
    tables: Mapping[str, Table]
    template: Template
    columns: tuple[str, ...]
    faults: tuple[Fault, ...]
    files: Mapping[str, str]
    index: Mapping[str, Mapping[str, Row]]
    authors: Mapping[str, str] = field(default_factory=dict)

    def row(self, table: str, row_id: str) -> Row | None:
        """The good row `row_id` of a table."""
        return self.index[table].get(row_id)

    def table_order(self) -> tuple[str, ...]:
        """The combined tables, in the order of the picture ids' parts."""
        return tuple(name for group in self.groups for name in group)

    def row_order(self) -> list[list[str]]:
        """For each part of the picture ids, the ids of its table's rows as the sheet has them.

        Rejected rows are in their places: their pictures are kept.
        """
        return [_ids_in_order(self.tables[name]) for name in self.table_order()]


def _ids_in_order(table: Table) -> list[str]:
    """Row ids by row number; a row whose id could not be read is left out."""
    numbered = {row.number: row.id for row in table.rows}
    rejected = {number: row_id for number, row_id in table.rejected_rows.items() if row_id}
    if not rejected:
        return list(dict.fromkeys(numbered.values()))
    return list(dict.fromkeys(row_id for _, row_id in sorted({**rejected, **numbered}.items())))


def open_catalog(path: Path, *, snapshot: SnapshotCache | None = None) -> Catalog:
    """The image set at `path`.

    Args:
        path: a folder, an .xlsx or a .csv file.
        snapshot: where parsed workbooks are remembered by their digest.

    Raises:
        CatalogError: no such catalog; wrong settings; a table that is not there.
        SheetError: a workbook that cannot be used at all.
        TemplateError: a template that cannot be used.
    """
    folder, settings = _find(path)
    _check_name(settings.name)
    source = _Source(path, folder, settings, snapshot)
    groups = settings.pictures or source.usual_groups()
    lookups = dict(settings.lookup) or source.usual_lookups(groups)
    wanted = [name for group in groups for name in group]
    columns = _column_specs(settings, lookups)
    _check_defaults(settings, columns, _numbered(settings, lookups))
    tables: dict[str, Table] = {}
    for name in dict.fromkeys([*wanted, *lookups.values()]):
        tables[name] = read_table(source.sheet(name), columns, numbered=_numbered(settings, lookups))
    faults = [*source.faults(), *(fault for table in tables.values() for fault in table.faults)]
    stopping = [fault for fault in faults if fault.severity == "file"]
    if stopping:
        raise SheetError(faults=stopping)
    folders = [stock_folder()] if folder is None else [folder / "templates", folder, stock_folder()]
    return Catalog(
        name=settings.name,
        path=path,
        settings=settings,
        groups=groups,
        lookups=lookups,
        tables=tables,
        template=load_template(settings.template or DEFAULT_TEMPLATE, folders),
        columns=tuple(spec.name for spec in columns),
        faults=tuple(faults),
        files=source.digests(),
        index={name: {row.id: row for row in table.rows} for name, table in tables.items()},
        authors=source.authors(),
    )


def find_catalogs(folder: Path) -> list[Path]:
    """The catalogs in a folder, by name: its folders with tables or settings, and its bare workbooks.

    Raises:
        CatalogError: there is no such folder.
    """
    if not folder.is_dir():
        raise CatalogError(
            f"{folder}: no such folder; name the folder of the catalogs", code="E_CATALOG_MISSING"
        )
    return [
        path
        for path in sorted(folder.iterdir())
        if not path.name.startswith((".", "~$")) and _is_catalog(path)
    ]


def _is_catalog(path: Path) -> bool:
    if path.is_dir():
        return (path / SETTINGS_FILE).is_file() or any(
            file.suffix.lower() in (*_BOOK_SUFFIXES, *_TEXT_SUFFIXES) for file in path.iterdir()
        )
    return path.suffix.lower() in (*_BOOK_SUFFIXES, *_TEXT_SUFFIXES)


def _find(path: Path) -> tuple[Path | None, Settings]:
    if path.is_dir():
        settings = load_settings(path / SETTINGS_FILE, name=path.resolve().name)
        return path, settings
    if not path.exists():
        beside = sorted(p.name for p in path.parent.iterdir()) if path.parent.is_dir() else []
        near = nearest(path.name, beside)
        raise CatalogError(
            f"{path}: no such folder or file; " + (f'did you mean "{near}"?' if near else "name a catalog"),
            code="E_CATALOG_MISSING",
        )
    if path.suffix.lower() not in (*_BOOK_SUFFIXES, *_TEXT_SUFFIXES):
        raise CatalogError(
            f"{path.name}: not a catalog; give a folder, an .xlsx or a .csv file", code="E_CATALOG_KIND"
        )
    return None, Settings(name=unicodedata.normalize("NFC", path.stem))


class _Source:
    """The sheets of a catalog, read when asked for, each file once."""

    def __init__(
        self, path: Path, folder: Path | None, settings: Settings, snapshot: SnapshotCache | None
    ) -> None:
        self._settings = settings
        self._snapshot = snapshot
        self._books: dict[Path, Workbook] = {}
        self._files = [path] if folder is None else _table_files(folder, settings)
        self._label = path.resolve().name

    def sheet_names(self) -> list[str]:
        if self._is_book():
            return [sheet.name for sheet in self._book(self._files[0]).sheets]
        return [file.stem for file in self._files]

    def sheet(self, name: str) -> Sheet:
        """The sheet called `name`, or by one of its usual names."""
        found = _match_name(name, self.sheet_names())
        if found is None:
            listed = ", ".join(f'"{sheet}"' for sheet in self.sheet_names()) or "none"
            near = nearest(name, self.sheet_names())
            fix = f'did you mean "{near}"?' if near else "rename the sheet, or the table in catalog.toml"
            fault = Fault(
                file=self._files[0].name if self._is_book() else self._label,
                code="E_SHEET_MISSING",
                message=f'there is no sheet "{name}"; sheets found: {listed}',
                fix=fix,
                severity="file",
            )
            raise SheetError(faults=[fault])
        if self._is_book():
            return self._book(self._files[0]).sheet(found)
        file = next(file for file in self._files if file.stem == found)
        return self._book(file).sheets[0]

    def usual_groups(self) -> tuple[tuple[str, ...], ...]:
        """The tables combined when catalog.toml names none."""
        names = self.sheet_names()
        usual = [table for table in TABLE_ALIASES if _match_name(table, names) is not None]
        if usual and usual[0] == "characters":
            return tuple((table,) for table in usual)
        return ((self._first_with_ids(names),),)

    def _first_with_ids(self, names: Sequence[str]) -> str:
        for name in names:
            table = read_table(self.sheet(name), CORE_COLUMNS, numbered=NUMBERED_COLUMNS)
            if not any(fault.code in ("E_SHEET_HEADER", "E_SHEET_COLUMN_MISSING") for fault in table.faults):
                return name
        if not names:
            raise CatalogError(
                f"{self._label}: holds no sheet; add one with an id column", code="E_SHEET_MISSING"
            )
        if len(names) > 1:
            listed = ", ".join(f'"{name}"' for name in names[:_NAMES_SHOWN])
            fault = Fault(
                file=self._files[0].name if self._is_book() else self._label,
                code="E_SHEET_HEADER",
                message=f"none of the sheets {listed} has a header row with an id column",
                fix='put the column names (id, name, appearance ...) in the first row of one, with "id" among them',
                severity="file",
            )
            raise SheetError(faults=[fault])
        return names[0]

    def usual_lookups(self, groups: Iterable[Iterable[str]]) -> dict[str, str]:
        """`character` refers to the sheet of characters when that is not itself combined."""
        combined = {name for group in groups for name in group}
        found = _match_name("characters", self.sheet_names())
        return {} if found is None or combined & {"characters", found} else {"character": "characters"}

    def faults(self) -> list[Fault]:
        return [fault for book in self._books.values() for fault in book.faults]

    def digests(self) -> dict[str, str]:
        return {path.name: book.digest for path, book in sorted(self._books.items())}

    def authors(self) -> dict[str, str]:
        return {path.name: book.author for path, book in sorted(self._books.items())}

    def _is_book(self) -> bool:
        return self._files[0].suffix.lower() in _BOOK_SUFFIXES

    def _book(self, file: Path) -> Workbook:
        if file not in self._books:
            wanted = self._settings.limits
            limits = Limits(rows=wanted.rows, csv_rows=wanted.rows, columns=wanted.columns)
            self._books[file] = read_workbook(
                file,
                limits=limits,
                encoding=self._settings.encoding,
                merged=self._settings.merged,
                snapshot=self._snapshot,
            )
        return self._books[file]


def _table_files(folder: Path, settings: Settings) -> list[Path]:
    if settings.workbook is not None:
        file = folder / settings.workbook
        if not file.is_file() or not file.resolve().is_relative_to(folder.resolve()):
            raise CatalogError(
                f'{SETTINGS_FILE}: workbook "{settings.workbook}" is not in {folder.name}/; put it there',
                code="E_CATALOG_MISSING",
            )
        return [file]
    files = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith(("~$", ".")))
    books = [file for file in files if file.suffix.lower() in _BOOK_SUFFIXES]
    if len(books) > 1:
        listed = ", ".join(f'"{book.name}"' for book in books)
        raise CatalogError(
            f'{folder.name}/: holds {len(books)} workbooks ({listed}); set workbook = "…" in {SETTINGS_FILE}',
            code="E_CATALOG_KIND",
        )
    texts = [file for file in files if file.suffix.lower() in _TEXT_SUFFIXES]
    if not books and not texts:
        raise CatalogError(
            f"{folder.name}/: holds no .xlsx and no .csv file; `newbie template {folder.name}/cast.xlsx` writes a starter",
            code="E_CATALOG_KIND",
        )
    return books or texts


def _match_name(name: str, names: Sequence[str]) -> str | None:
    """The sheet meant by `name`: the same name first, then the usual names of that table."""
    folded = {_fold(found): found for found in reversed(names)}
    for candidate in (name, *TABLE_ALIASES.get(_fold(name), ())):
        if (found := folded.get(_fold(candidate))) is not None:
            return found
    return None


def _fold(name: str) -> str:
    return unicodedata.normalize("NFKC", name).strip().casefold()


def _column_specs(settings: Settings, lookups: Mapping[str, str]) -> tuple[ColumnSpec, ...]:
    known = {spec.name for spec in CORE_COLUMNS}
    further = [name for name in (*settings.columns, *lookups) if name not in known]
    return (*CORE_COLUMNS, *(ColumnSpec(name=name) for name in dict.fromkeys(further)))


def _numbered(settings: Settings, lookups: Mapping[str, str]) -> frozenset[str]:
    return NUMBERED_COLUMNS | set(settings.columns) | set(lookups)


def _check_name(name: str) -> None:
    """Refuse a file or folder name that is no text: it could not be written down with the set."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise CatalogError(
            f'{name}: the name is not Unicode; rename the file or folder, or set name = "…" in {SETTINGS_FILE}',
            code="E_CATALOG_KIND",
        ) from None


def _check_defaults(settings: Settings, columns: Sequence[ColumnSpec], numbered: frozenset[str]) -> None:
    """Refuse defaults that no prompt would ever see."""
    known = [spec.name for spec in columns if spec.name not in _NEVER_DEFAULTS]
    faults = []
    for name in settings.defaults:
        if name in known or base_name(name, numbered) in known:
            continue
        near = nearest(name, known)
        message, fix = "is not a known column", f'did you mean "{near}"?' if near else 'see columns = ["…"]'
        if name in _NEVER_DEFAULTS:
            message, fix = "is no default of a prompt", "write it in [picture], or in the rows"
        faults.append(
            Fault(
                file=SETTINGS_FILE,
                code="E_TOML_KEY",
                message=f"defaults.{name}: {message}",
                fix=fix,
                severity="file",
            )
        )
    if faults:
        raise CatalogError(faults=faults)


def with_engine(catalog: Catalog, name: str) -> Catalog:
    """The same catalog, made by another engine."""
    if name == catalog.settings.engine.name:
        return catalog
    engine = replace(catalog.settings.engine, name=name, options={})
    return replace(catalog, settings=replace(catalog.settings, engine=engine))
