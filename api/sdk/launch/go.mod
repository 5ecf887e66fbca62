module github.com/blockmill/blockmill/api/sdk/launch

go 1.26.0
