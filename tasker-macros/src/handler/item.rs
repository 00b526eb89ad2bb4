//! The item under `#[step_handler]`, read as far as needed: signatures are parsed, bodies stay tokens.
//!
//! A body that is half-typed, as in an editor, does not matter then, and costs nothing.

use proc_macro2::{Group, TokenStream, TokenTree};
use quote::{ToTokens, TokenStreamExt, quote};
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Generics, Ident, ImplItem, Signature, Token, Type, Visibility};

/// The item under the attribute.
pub(crate) enum Item {
    /// `async fn`
    Function(Box<Function>),
    /// `impl Type { .. }`
    Block(Box<Block>),
    /// Something else, where the attribute does not belong.
    Other,
}

/// A function, with its body as tokens.
pub(crate) struct Function {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) signature: Signature,
    body: TokenTree,
}

/// An `impl` block of a type.
pub(crate) struct Block {
    pub(crate) attributes: Vec<Attribute>,
    impl_token: Token![impl],
    pub(crate) generics: Generics,
    pub(crate) self_type: Type,
    pub(crate) members: Vec<Member>,
    braces: Group,
}

/// A member of an `impl` block.
pub(crate) enum Member {
    /// A function or method.
    Function(Box<Function>),
    /// Whatever else.
    Other(TokenStream),
}

impl Parse for Item {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        if input.peek(Token![impl]) {
            return Block::parse(attributes, input)
                .map(|block| block.map_or(Self::Other, |block| Self::Block(Box::new(block))));
        }
        let visibility: Visibility = input.parse()?;
        if begins_function(input) {
            return Ok(Self::Function(Box::new(Function::parse(attributes, visibility, input)?)));
        }
        skip_rest(input)?;
        Ok(Self::Other)
    }
}

/// Whether what follows is a function, whatever stands before its `fn`.
fn begins_function(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    let _: syn::Result<Option<Token![const]>> = ahead.parse();
    let _: syn::Result<Option<Token![async]>> = ahead.parse();
    let _: syn::Result<Option<Token![unsafe]>> = ahead.parse();
    let _: syn::Result<Option<syn::Abi>> = ahead.parse();
    ahead.peek(Token![fn])
}

fn skip_rest(input: ParseStream<'_>) -> syn::Result<()> {
    let _: TokenStream = input.parse()?;
    Ok(())
}

impl Function {
    fn parse(attributes: Vec<Attribute>, visibility: Visibility, input: ParseStream<'_>) -> syn::Result<Self> {
        let signature = input.parse()?;
        if !input.peek(syn::token::Brace) {
            return Err(input.error("a step handler has a body"));
        }
        Ok(Self { attributes, visibility, signature, body: input.parse()? })
    }
}

impl ToTokens for Function {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self { attributes, visibility, signature, body } = self;
        tokens.append_all(attributes);
        visibility.to_tokens(tokens);
        signature.to_tokens(tokens);
        body.to_tokens(tokens);
    }
}

impl Block {
    /// The block, or `None` for one that implements a trait.
    fn parse(attributes: Vec<Attribute>, input: ParseStream<'_>) -> syn::Result<Option<Self>> {
        let impl_token = input.parse()?;
        let mut generics: Generics = if input.peek(Token![<]) { input.parse()? } else { Generics::default() };
        if input.peek(Token![!]) {
            skip_rest(input)?;
            return Ok(None);
        }
        let self_type: Type = input.parse()?;
        if input.peek(Token![for]) {
            skip_rest(input)?;
            return Ok(None);
        }
        generics.where_clause = input.parse()?;
        let braces = match input.parse()? {
            TokenTree::Group(group) => group,
            other => return Err(syn::Error::new_spanned(other, "expected the block of the `impl`")),
        };
        let members = syn::parse::Parser::parse2(parse_members, braces.stream())?;
        Ok(Some(Self { attributes, impl_token, generics, self_type, members, braces }))
    }

    /// The function of this name.
    pub(crate) fn function(&mut self, name: &str) -> Option<&mut Function> {
        self.members.iter_mut().find_map(|member| match member {
            Member::Function(function) if function.signature.ident == name => Some(&mut **function),
            _ => None,
        })
    }
}

fn parse_members(input: ParseStream<'_>) -> syn::Result<Vec<Member>> {
    let mut members = Vec::new();
    while !input.is_empty() {
        let ahead = input.fork();
        let attributes = ahead.call(Attribute::parse_outer)?;
        let visibility: Visibility = ahead.parse()?;
        if begins_function(&ahead) {
            input.call(Attribute::parse_outer)?;
            input.parse::<Visibility>()?;
            members.push(Member::Function(Box::new(Function::parse(attributes, visibility, input)?)));
        } else {
            members.push(Member::Other(input.parse::<ImplItem>()?.into_token_stream()));
        }
    }
    Ok(members)
}

impl ToTokens for Block {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self { attributes, impl_token, generics, self_type, members, braces } = self;
        let where_clause = &generics.where_clause;
        let mut body = Group::new(braces.delimiter(), members.iter().map(ToTokens::to_token_stream).collect());
        body.set_span(braces.span());
        tokens.append_all(quote!(#(#attributes)* #impl_token #generics #self_type #where_clause #body));
    }
}

impl ToTokens for Member {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Function(function) => function.to_tokens(tokens),
            Self::Other(other) => other.to_tokens(tokens),
        }
    }
}

/// The doc comment among attributes.
pub(crate) fn docs_of(attributes: &[Attribute]) -> String {
    let mut docs = String::new();
    for attribute in attributes {
        if let syn::Meta::NameValue(pair) = &attribute.meta
            && pair.path.is_ident("doc")
            && let syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) = &pair.value
        {
            let text = text.value();
            docs.push_str(text.strip_prefix(' ').unwrap_or(&text).trim_end());
            docs.push('\n');
        }
    }
    docs.truncate(docs.trim_end().len());
    docs
}

/// The attributes that decide whether the item is there at all.
pub(crate) fn conditions_of(attributes: &[Attribute]) -> Vec<&Attribute> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")).collect()
}

/// The name of the type, if it is one that a path leads to.
pub(crate) fn type_name(ty: &Type) -> Option<Ident> {
    match ty {
        Type::Group(group) => type_name(&group.elem),
        Type::Paren(paren) => type_name(&paren.elem),
        Type::Path(path) => path.path.segments.last().map(|segment| segment.ident.clone()),
        _ => None,
    }
}
