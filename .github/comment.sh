#!/usr/bin/env bash
# Writes the comment of a pull request, or renews the one that an earlier run wrote. Needs GH_TOKEN, GITHUB_REPOSITORY,
# PULL_REQUEST and STACKS (a JSON list). A pull request that touches no stack gets none, unless it has one already.
set -euo pipefail
shopt -s nullglob
.larder/venv/bin/python -m preview comment --before plans/before/*.json --after plans/after/*.json > comment.md
comments="repos/$GITHUB_REPOSITORY/issues/$PULL_REQUEST/comments"
mark=$(head -n 1 comment.md)
# Only what the workflow itself wrote: anyone may write a comment that begins with the mark.
export mark
found=$(gh api --paginate "$comments" \
  --jq '.[] | select(.user.login == "github-actions[bot]" and (.body | startswith(env.mark))) | .id' | sed -n 1p)
if [ -n "$found" ]; then
  gh api --method PATCH "repos/$GITHUB_REPOSITORY/issues/comments/$found" --field body=@comment.md > /dev/null
elif [ "$STACKS" != "[]" ]; then
  gh api "$comments" --field body=@comment.md > /dev/null
fi
