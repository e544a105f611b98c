"""Partners' logs, as they publish them: fetched, compared, cosigned."""
