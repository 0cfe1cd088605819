"""``dstore://`` for everything that speaks fsspec: pandas, pyarrow, dask, zarr, xarray, DuckDB and others.

fsspec finds ``DstoreFileSystem`` by its entry point, so users import nothing. It needs the extra ``dstore[fsspec]``.
See ``docs/fsspec.md``.
"""

from dstore.fsspec.filesystem import DstoreFileSystem

__all__ = ["DstoreFileSystem"]
