# SPDX-License-Identifier: BSD-3-Clause
"""The same job for many pictures, on all cores or on a Dask cluster."""
