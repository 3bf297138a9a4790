"""The page's content: from runs to frozen values, tables and blocks of data. ``model`` says what there is."""
