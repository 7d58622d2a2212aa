"""Prefect flows: schedule, view and retry around `newbie_core.production`."""
