module github.com/playgate/playgate/tools/lint

go 1.26
