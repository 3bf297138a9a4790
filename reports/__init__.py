"""Reports: from the record to a page, a table and (later) a verdict."""
